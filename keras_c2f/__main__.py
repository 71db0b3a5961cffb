"""`python -m keras_c2f` is the command `keras-c2f`."""

from keras_c2f.cli import main

if __name__ == "__main__":
    main()
