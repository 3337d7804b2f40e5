"""`python -m deepfake.cli` is the command `deepfake`."""

from deepfake.cli import main

if __name__ == "__main__":
    main()
