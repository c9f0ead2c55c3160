"""`python -m genai_fill_server.cli` is `genai-fill`."""

from genai_fill_server.cli.main import main

if __name__ == "__main__":
    main()
