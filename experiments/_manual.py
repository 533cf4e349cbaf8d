"""The page that `--help` prints: a script's docstring, and what holds for all."""

import textwrap
from collections.abc import Iterable

from absl import flags

_REST = """
Changing the config:
  --config.KEY=VALUE changes an entry, or adds one, at any depth. KEY is its
  path with dots; for an entry of a list, --config.model.features.0=512. VALUE
  is JSON or a Python literal, and text where it is neither:

    --config.num_steps=2e3                  a whole number
    --config.clip=None                      or null: no clipping
    --config.model.features='[64, 10]'      or (64, 10)
    --config.optimizer.eps=1e-6             an entry that the file lacks
    --config.data.name='"2024"'             text that looks like a number
    --config.optimizer='{"name": "sgd", "learning_rate": 0.1}'

  What a config file computes from an entry follows it: with num_steps, the
  warm-up. (A run's config.json holds results, not rules: nothing follows.)

Flags:
{flags}

The work directory holds
  config.json     the config as it was run, seed and all, and "provenance":
                  versions, git commit, digest of the data, device, command,
                  and what was changed when the run went on
  metrics.csv     a row every log_every steps, as they come; metrics.jsonl the
                  same, and events/ for TensorBoard if tensorboardX is there
  checkpoints/    the newest states, each in a folder called by its step
  results.json    loss and accuracy on training, validation and test data,
                  once the run is done
  curves.png      a picture of the metrics

Stopping and going on:
  Ctrl-C or SIGTERM saves and ends the run; a second one ends it at once. The
  same command again goes on from the newest checkpoint, with the results that
  the run would have had. A run that is done only prints its results again, or
  goes on where --config.num_steps asks for more.

Exit status:
  0    done: all steps made, or stopped early as the config asks
  1    anything not listed here: a loss that is not finite, a full disk
  2    a mistake in config, data, flags or arguments: nothing was started
  75   time_limit reached, state saved: start it again
  130  stopped by Ctrl-C (SIGINT); the steps that were made are saved
  143  stopped by SIGTERM, likewise
"""


def page(doc: str, own_flags: Iterable[flags.Flag]) -> str:
    """`doc`, then config, flags, files and exit status, in 80 columns."""
    lines = []
    indent = " " * 6
    for flag in own_flags:
        lines.append(f"  --{'[no]' * flag.boolean}{flag.name}")
        lines += textwrap.wrap(
            flag.help or "", 79, initial_indent=indent, subsequent_indent=indent
        )
    return doc.strip() + "\n" + _REST.replace("{flags}", "\n".join(lines)).rstrip()
