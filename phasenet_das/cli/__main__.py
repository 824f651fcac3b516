"""The command line as a module: ``python -m phasenet_das.cli``."""

from phasenet_das.cli.application import main

if __name__ == "__main__":
    main()
