"""Prepares a data set with Apache Beam: a part of the shards per element.

    pip install apache-beam
    python examples/prepare_beam.py --parts=16 -- --data=folder:PATH --out=OUT

Before `--` stand options of Beam, such as `--runner`, and after it those of
`keras-c2f prepare`. Workers need that command, the recordings and the folder
to write. A part that fails is tried again by Beam, and goes on where it was.
"""

import argparse
import subprocess
import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def prepare(part, command):
    """Writes one part of the shards, INDEX/COUNT; the rest if `None`."""
    shard = [] if part is None else [f"--shard={part}"]
    subprocess.run([*command, *shard], check=True)


def main():
    options, separator, words = sys.argv[1:], "--", []
    if separator in options:
        place = options.index(separator)
        options, words = options[:place], options[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--program", default="keras-c2f")
    known, rest = parser.parse_known_args(options)
    command = [known.program, "prepare", *words]
    parts = [f"{index}/{known.parts}" for index in range(known.parts)]
    with beam.Pipeline(options=PipelineOptions(rest)) as pipeline:
        (
            pipeline
            | beam.Create(parts)
            | beam.Reshuffle()
            | beam.Map(prepare, command)
        )
    prepare(None, command)


if __name__ == "__main__":
    main()
