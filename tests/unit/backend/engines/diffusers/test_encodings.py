from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from genai_fill_server.engines.diffusers.encodings import EncodingCache


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return AutoencoderKL(block_out_channels=(8,), norm_num_groups=2).eval()


@pytest.fixture
def served(vae):
    """Return the VAE behind a cache for two encodings, the cache, and what was encoded."""
    calls, cache = [], EncodingCache(2 * 8 * 16 * 16 * 4)
    vae.encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    cache.serve(vae)
    return vae, cache, calls


def plate(seed):
    return torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_what_is_found_again_samples_like_what_was_encoded(served):
    vae, _, calls = served
    before = vae.encode(plate(1)).latent_dist
    again = vae.encode(plate(1).clone()).latent_dist

    assert len(calls) == 1
    draws = [d.sample(torch.Generator().manual_seed(3)) for d in (before, again)]
    assert torch.equal(*draws)
    assert torch.equal(before.mode(), again.mode())


@torch.no_grad()
def test_changing_what_came_back_does_not_change_what_is_kept(served):
    vae, _, _ = served
    right = vae.encode(plate(1)).latent_dist.parameters.clone()
    vae.encode(plate(1)).latent_dist.parameters.zero_()

    assert torch.equal(vae.encode(plate(1)).latent_dist.parameters, right)


@torch.no_grad()
def test_one_bit_or_another_shape_is_another_plate(served):
    vae, _, calls = served
    vae.encode(plate(1))
    other = plate(1)
    other[0, 0, 0, 0] = torch.nextafter(other[0, 0, 0, 0], torch.tensor(2.0))
    vae.encode(other)
    vae.encode(plate(1).reshape(1, 3, 8, 32))

    assert len(calls) == 3


@torch.no_grad()
def test_memory_is_bounded_and_the_first_frames_of_a_job_stay(served):
    vae, cache, calls = served
    for seed in (1, 2, 3):
        vae.encode(plate(seed))
    assert cache.size_bytes == 2 * 8 * 16 * 16 * 4
    for seed in (1, 2):
        vae.encode(plate(seed))
    assert len(calls) == 3

    vae.encode(plate(3))

    assert len(calls) == 4


@torch.no_grad()
def test_a_new_job_takes_the_room_of_what_only_the_old_one_used(served):
    vae, cache, calls = served
    vae.encode(plate(1))
    vae.encode(plate(2))
    cache.begin_job()
    vae.encode(plate(2))  # used again: it stays
    vae.encode(plate(3))
    assert len(calls) == 3

    vae.encode(plate(2))
    vae.encode(plate(3))
    assert len(calls) == 3
    vae.encode(plate(1))
    assert len(calls) == 4


@torch.no_grad()
def test_calls_for_other_forms_of_output_go_through(served):
    vae, cache, _ = served
    (posterior,) = vae.encode(plate(1), return_dict=False)

    assert posterior.mean.shape == (1, 4, 16, 16)
    assert cache.size_bytes == 0
