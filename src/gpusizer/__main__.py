"""``python -m gpusizer`` is the ``gpusizer`` command."""

from gpusizer.cli.main import run

if __name__ == "__main__":
    run()
