"""Tokenizers built in memory: one token a byte, so any text in any script has tokens."""

from __future__ import annotations

from transformers import CLIPTokenizer, Qwen2TokenizerFast, T5TokenizerFast

# The reversible byte alphabet of GPT-2: printable bytes stand for themselves, the others are
# moved up by 256.
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]


def byte_alphabet() -> list[str]:
    """Return the 256 characters that stand for bytes."""
    moved = iter(range(256, 512))
    return [chr(b) if b in _PRINTABLE else chr(next(moved)) for b in range(256)]


def clip_tokenizer(max_length: int = 77) -> CLIPTokenizer:
    """Return a CLIP tokenizer of 514 tokens."""
    letters = byte_alphabet()
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=max_length
    )


def t5_tokenizer(max_length: int = 512) -> T5TokenizerFast:
    """Return a T5 tokenizer: characters of ASCII, all others unknown."""
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    vocab += [(chr(c), -2.0) for c in range(33, 127)]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=max_length)


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


VISION_TOKENS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")


def qwen_tokenizer(max_length: int = 512, more: tuple[str, ...] = ()) -> Qwen2TokenizerFast:
    """Return a Qwen2 tokenizer with a chat template and ``more`` special tokens."""
    tokens = [*byte_alphabet(), "<|endoftext|>", "<|im_start|>", "<|im_end|>", *more]
    tokenizer = Qwen2TokenizerFast(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[],
        model_max_length=max_length,
        additional_special_tokens=["<|im_start|>", "<|im_end|>", *more],
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
