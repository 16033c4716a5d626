"""The command line: `python -m metamemory COMMAND`, or `metamemory COMMAND` where it is installed."""

import argparse
import codecs
import io
import os
import signal
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Any

from metamemory.errors import UserError
from metamemory.training.interruption import interruptible

SCALE = "smoke, laptop or paper (default: `scale` in params.yaml)"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 after a one-line error, 3 when `work` has left something to do,
    128 and the number of the signal, such as 130 or 143, when interrupted."""
    _open_what_is_closed()
    _print_in_any_locale()
    options = _parser().parse_args(arguments)
    try:
        with interruptible():
            code = options.command(options) or 0
            sys.stdout.flush()  # a full disk or a closed pipe is told here, not when Python ends
            return code
    except UserError as error:
        print(f"error: {_in_one_line(str(error))}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not _is_for_want_of_memory(error):
            raise
        said = " ".join(str(error).split()) or "no more of it"
        mend = "ask for smaller images, smaller batches or a narrower model, or run less beside it"
        print(f"error: out of memory ({said[:200]}): {mend}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupted:
        print("interrupted; the same command goes on, a training from its last checkpoint", file=sys.stderr)
        return 128 + getattr(interrupted, "number", signal.SIGINT)
    except BrokenPipeError:
        _print_no_more()
    except OSError as error:  # of what no file was named for: most often the output
        _print_no_more()
        where = error.filename or "what is printed, or another file"
        print(f"error: {_in_one_line(str(where))}: {error.strerror or error}; mend that and run again", file=sys.stderr)
        return 1
    return 0


def _print_no_more() -> None:
    """What is still to be printed goes nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _in_one_line(text: str) -> str:
    """The text with what would break its line, or act on a terminal, written as Python does: a name may have it."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _is_for_want_of_memory(error: Exception) -> bool:
    """Whether the machine, or its GPU, has no more memory: torch says so in an error of its own, or in words."""
    kinds = {each.__name__ for each in type(error).__mro__}
    said = ("allocate memory", "Storage size calculation overflowed")
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or any(each in str(error) for each in said)


def _open_what_is_closed() -> None:
    """Without a standard stream, as a daemon may be, nothing comes in or is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (it stays open)


def _print_in_any_locale() -> None:
    """UTF-8 where no locale is set; else the terminal's own, with what it has not written in another way."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unset = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if unset else None, errors="backslashreplace" if unset else "plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """A space for a space that the encoding does not have, and the like; an escape where there is nothing like it."""
    text = error.object[error.start : error.end]
    alike = unicodedata.normalize("NFKC", text).encode(error.encoding, "backslashreplace")
    return alike.decode(error.encoding), error.end


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="metamemory" if Path(sys.argv[0]).stem == "metamemory" else "python -m metamemory",
        description="A reproducible study of meta-learning with memory.",
        epilog="Run it from the top of the project. `COMMAND --help` says more.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in ADD:
        add(commands)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="train and evaluate one method",
        description="Train and evaluate one method of an experiment, or go on where an earlier call stopped. "
        "A finished run is used again if its configuration, code and data are unchanged and its files are whole. "
        "Ctrl-C and SIGTERM leave a checkpoint too.",
        epilog="example: python -m metamemory run online_few_shot --method cl_lstm --scale laptop --minutes 5",
    )
    _add_name(run)
    run.add_argument("--seed", type=_seed, default=0, help="of weights and episodes (default: 0)")
    run.add_argument(
        "--minutes",
        type=_minutes,
        default=float("inf"),
        help="stop at a checkpoint after so long a training, of at least one update; its test is not cut short",
    )
    run.add_argument(
        "--again",
        action="store_true",
        help="train afresh, even if finished; where such a run was interrupted, the same command goes on with it",
    )
    run.add_argument("--notebook", action="store_true", help="through the experiment's notebook, as DVC does")
    run.set_defaults(command=_run)


def _add_work(commands: Any) -> None:
    work = commands.add_parser(
        "work",
        help="do what is missing, the most valuable first, in the minutes there are",
        description="Do the runs that are missing or stale, in the order of `priority` in params.yaml, side by side. "
        "What does not fit in the minutes left is passed over for what does, or sliced. When the minutes are over, and "
        "after Ctrl-C, every run is at a checkpoint; the same command goes on.",
        epilog="Exit code 0: nothing is left; 3: something is; 1: a run failed. A PATTERN is an experiment, a method "
        "or a setting, or experiment/method/setting/seed<k>, with * for any; trailing parts may be left out. "
        "example: python -m metamemory work --minutes 60 --only online_few_shot/cl_lstm",
    )
    work.add_argument("--minutes", type=_minutes, default=float("inf"), help="that there are (default: until done)")
    work.add_argument("--jobs", type=_count, metavar="K", help="runs side by side (default: one a core, 4 on a GPU)")
    work.add_argument("--scale", help=SCALE)
    work.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="only runs that a pattern names")
    work.add_argument("--headline", action="store_true", help="only the headline")
    work.add_argument("--pipeline", action="store_true", help="only what `dvc repro` does: no further seeds")
    work.add_argument("--shard", type=_shard, metavar="I/N", help="the I-th of N shares of the queue, counted from 1")
    work.add_argument("--weights", action="store_true", help="also runs whose results are here without their weights")
    work.add_argument(
        "--cluster", metavar="ADDRESS", help="on a Ray cluster: host:port, or auto for the one that is here"
    )
    work.add_argument("--export", type=Path, metavar="FOLDER", help="also keep what was done there, as archives")
    work.add_argument("--archives", type=_count, default=8, metavar="N", help="archives at most (default: 8)")
    work.add_argument(
        "--archive-size", type=_mebibytes, default=15 * 2**20, metavar="MIB", help="of each (default: 15)"
    )
    work.add_argument("--plan", action="store_true", help="print what would be done and how long it takes; run nothing")
    work.set_defaults(command=_work)


def _add_import(commands: Any) -> None:
    bring = commands.add_parser(
        "import",
        help="place runs that were done elsewhere",
        description="Place the runs that `work --export` brought from another machine: finished ones are verified and "
        "recorded with DVC, unfinished ones go on from their checkpoints. What was made with another configuration, "
        "other code or other data is refused with the reason; exit code 1 then.",
        epilog="example: python -m metamemory import ~/Downloads/runs-1.zip",
    )
    bring.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an archive, or a folder of archives")
    bring.set_defaults(command=_import)


def _add_keep(commands: Any) -> None:
    keep = commands.add_parser(
        "keep",
        help="put small weights of flagship runs into pretrained/",
        description="Write the weights of the finished runs that `keep` in params.yaml names to pretrained/, in half "
        "precision, with the numbers that are measured with just these weights.",
    )
    keep.set_defaults(command=_keep)


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="measure the weights of pretrained/ on this machine",
        description="Measure the weights of pretrained/ in their test episodes on this machine, without training, and "
        "print each number beside the committed one. Exit code 1 if one does not agree within a tenth of a point.",
        epilog="example: python -m metamemory verify --only cl_lstm",
    )
    verify.add_argument("--only", nargs="+", default=[], metavar="PATTERN", help="only runs that a pattern names")
    verify.add_argument("--jobs", type=_count, metavar="K", help="side by side (default: one a core)")
    verify.set_defaults(command=_verify)


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="write the step of a learner of pretrained/ in ONNX",
        description="Write one step of a learner whose weights are in pretrained/ to a file in ONNX. Inputs are x, "
        "y_seen and the tensors of the state, outputs the answer and the tensors of the state after the step.",
        epilog="example: python -m metamemory export cl_lstm omniglot --to cl_lstm.onnx",
    )
    export.add_argument("method", help="as `list` shows them")
    export.add_argument("setting", help="as `list` shows them")
    export.add_argument("--experiment", help="where weights of several experiments are kept")
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help="to write")
    export.add_argument("--batch", type=_count, default=1, metavar="N", help="episodes at a time (default: 1)")
    export.set_defaults(command=_export)


def _add_name(parser: argparse.ArgumentParser) -> None:
    """What names a run but its seed."""
    parser.add_argument("experiment", help="as `list` shows them")
    parser.add_argument("--method", required=True, help="as `list` shows them")
    parser.add_argument("--scale", help=SCALE)
    parser.add_argument("--setting", help="what the experiment varies (default: its first)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change the configuration, as in training.episodes=1000; kept apart from the plain run",
    )


def _add_config(commands: Any) -> None:
    config = commands.add_parser(
        "config",
        help="print the configuration of a run",
        description="Print the configuration of a run as YAML: what params.yaml and params/ say of its scale, setting "
        "and method, laid one over the other, and beside each line the place that it is written in.",
        epilog="example: python -m metamemory config online_few_shot --method cl_lstm --setting cifar_fs",
    )
    _add_name(config)
    config.set_defaults(command=_config)


def _add_data(commands: Any) -> None:
    prepare = commands.add_parser(
        "data",
        help="fill data/",
        description="Fill data/ with what the runs of params/ need, at any scale, or with the data sets named. "
        "Each comes from METAMEMORY_MIRROR, its original host, or an embedded stand-in, the first that works.",
        epilog="example: python -m metamemory data cifar_fs",
    )
    prepare.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="omniglot, cifar_fs, cifar10, fss1000, mini_imagenet, mnist, a stand-in (glyphs, scenes, silhouettes, "
        "digits), or one of your own",
    )
    prepare.add_argument("--folder", help="of class folders, for a data set of your own (default: as params/ say)")
    prepare.add_argument("--mirror", help="folder or URL of the data set packs (default: $METAMEMORY_MIRROR)")
    prepare.set_defaults(command=_data)


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report",
        help="print the tables: papers beside this study",
        description="Print the tables: papers beside this study, at every scale that has results.",
    )
    form = report.add_mutually_exclusive_group()
    form.add_argument("--readme", action="store_true", help="write the table and the picture of README.md instead")
    form.add_argument("--scorecard", action="store_true", help="print every cell of the papers' tables, with a verdict")
    report.set_defaults(command=_report)


def _add_list(commands: Any) -> None:
    listing = commands.add_parser(
        "list",
        help="what there is to run, and what has run",
        description="All runs of params/, and what there is of each: `finished` runs are used again, those that have "
        "`begun` go on from a checkpoint; of others `run` trains anew, though there be results that are stale (made "
        "with another configuration, code or data), damaged, or without their weights. Then the checkpoints from which "
        "no run goes on any more.",
    )
    listing.add_argument("--scale", help=SCALE)
    listing.add_argument("--headline", action="store_true", help="only the headline")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--stages", action="store_true", help="as `dvc repro` takes them")
    form.add_argument("--calls", action="store_true", help="as arguments of `run`")
    listing.set_defaults(command=_list)


def _add_pipeline(commands: Any) -> None:
    pipeline = commands.add_parser(
        "pipeline",
        help="write dvc.yaml, and that of each experiment",
        description="Write dvc.yaml, and notebooks/<paper>/<experiment>/dvc.yaml, from the parameters. "
        "A new method or setting does not need it, a new experiment does.",
    )
    pipeline.add_argument("--scale", help="set `scale` in params.yaml first: smoke, laptop or paper")
    pipeline.add_argument("--seeds", type=_seeds, help="set `seeds` in params.yaml first: 3 for 0, 1 and 2")
    pipeline.set_defaults(command=_pipeline)


def _add_record(commands: Any) -> None:
    record = commands.add_parser(
        "record",
        help="tell DVC of runs done elsewhere",
        description="Write the dvc.lock of each experiment from results/: DVC then takes a run for done that was done "
        "by `run`, beside others or on another machine, with the configuration and the code of now.",
    )
    record.add_argument("--models", type=Path, metavar="LOCK", help="a dvc.lock that knows models that are not at hand")
    record.set_defaults(command=_record)


def _add_digests(commands: Any) -> None:
    digests = commands.add_parser(
        "digests",
        help="write digests/, by which DVC knows what has changed",
        description="Write the digests of each run's configuration and source to digests/. "
        "DVC does it before all else; a run whose digests have changed is run again.",
    )
    digests.set_defaults(command=_digests)


def _add_carry(commands: Any) -> None:
    carry = commands.add_parser(
        "carry",
        help="keep results over a change that keeps every bit",
        description="Give committed results the digests of today, where it can be shown that their runs would give the "
        "same: the code that they execute is the same, or, cut short, they gave equal bits in the tree BEFORE the "
        "change and in this one. Results of which neither is true are put in results/stale.json.",
        epilog="example: python -m metamemory carry ../before",
    )
    carry.add_argument("before", type=Path, metavar="BEFORE", help="a checkout of the commit before the change")
    carry.add_argument("--through", type=Path, help="folder that tells how to read a checkout with another interface")
    carry.add_argument(
        "--check", action="store_true", help="write nothing and run nothing; 1 if there is something to do"
    )
    carry.add_argument(
        "--jobs", type=_count, default=1, help="shortened runs side by side, one thread each (default: 1)"
    )
    carry.add_argument("--kept", type=Path, default=Path(".lineage"), help="where they are kept (default: .lineage)")
    carry.set_defaults(command=_carry)


def _carry(options: argparse.Namespace) -> None:
    from metamemory.study.before import before_of
    from metamemory.study.carried import told
    from metamemory.study.lineage import Carrier

    before = before_of(options.before, options.through)
    carrier = Carrier(before, Path("."), options.kept, options.jobs)
    found = carrier.examine(prove=not options.check)
    print(told(found))
    changed = carrier.write(found, dry=options.check)
    if options.check and any(each.open for each in found):
        raise UserError("some results are without a proof yet: the same command without --check makes them")
    if options.check and changed:
        raise UserError(f"{len(changed)} files in results/ are not as this command would write them")
    print(f"{len(changed)} files written")


ADD = (
    *(
        _add_run,
        _add_work,
        _add_import,
        _add_keep,
        _add_verify,
        _add_export,
        _add_config,
        _add_data,
        _add_report,
        _add_list,
    ),
    *(_add_pipeline, _add_record, _add_digests, _add_carry),
)


def _number(kind: type, text: str) -> Any:
    """What is written, as a whole or a real number."""
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None


def _seed(text: str) -> int:
    seed = _number(int, text)
    if not 0 <= seed < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 2147483647")
    return seed


def _count(text: str) -> int:
    count = _number(int, text)
    if not 1 <= count <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 1000")
    return count


def _mebibytes(text: str) -> int:
    size = _number(float, text)
    if not 0.1 <= size <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.1 to 10000")
    return round(size * 2**20)


def _shard(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, as in 2/8")
    return int(number), int(count)


def _seeds(text: str) -> list[int]:
    return list(range(_count(text)))


def _minutes(text: str) -> float:
    minutes = _number(float, text)
    if not minutes >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return minutes


def _named(options: argparse.Namespace) -> tuple[str, str, str, str, dict[str, Any]]:
    """Scale, experiment, method and setting, and what is overridden."""
    from metamemory.study.parameters import Parameters, parse_overrides

    parameters = Parameters()
    setting = parameters.settings(options.experiment)[0] if options.setting is None else options.setting
    scale = parameters.scale if options.scale is None else options.scale
    return scale, options.experiment, options.method, setting, parse_overrides(options.overrides)


def _run(options: argparse.Namespace) -> None:
    from metamemory.study.neighbours import bind_threads

    bind_threads()
    from metamemory.study.runs import Run, execute

    *name, overrides = _named(options)
    run = Run(*name, seed=options.seed, overrides=overrides)
    if options.notebook and (options.again or options.minutes < float("inf")):
        raise UserError("--notebook goes with neither --again nor --minutes: run it without --notebook first")
    if options.notebook:
        from metamemory.study.notebooks import execute_notebook

        execute_notebook(run)
    else:
        execute(run, options.minutes, options.again)


def _work(options: argparse.Namespace) -> int | None:
    from metamemory.study.work.command import Wish, show, work

    names = ("minutes", "jobs", "scale", "only", "headline", "pipeline", "shard", "weights")
    names += ("cluster", "export", "archives", "archive_size")
    wish = Wish(**{name: getattr(options, name) for name in names})
    return show(wish) if options.plan else work(wish)


def _keep(_: argparse.Namespace) -> None:
    from metamemory.study.pretrained import keep

    for line in keep():
        print(line)


def _verify(options: argparse.Namespace) -> int:
    from metamemory.study.verification import verify

    return 0 if verify(only=tuple(options.only), jobs=options.jobs) else 1


def _export(options: argparse.Namespace) -> None:
    from metamemory.models.onnx_step import export_step
    from metamemory.study.pretrained import load
    from metamemory.training.files import require_writable

    require_writable(options.to)
    learner = load(options.method, options.setting, options.experiment)
    step = export_step(learner, options.to, options.batch)
    size = options.to.stat().st_size / 2**20
    print(
        f"{options.to}: {size:.1f} MiB; in: x, y_seen and a state of {len(step.names)} tensors; out: answer and state"
    )


def _import(options: argparse.Namespace) -> int:
    from metamemory.study.work.command import bring_home

    return bring_home(options.paths)


def _config(options: argparse.Namespace) -> None:
    from metamemory.study.explain import explain
    from metamemory.study.parameters import Parameters
    from metamemory.study.runs import Run, configuration

    *name, overrides = _named(options)
    parameters = Parameters()
    configuration(Run(*name, overrides=overrides))  # what would be refused in a run is refused here
    print(f"# {parameters.file_of(options.experiment)}; beside each line is where it is written")
    print(explain(parameters.layers(*name, overrides)), end="")


def _data(options: argparse.Namespace) -> None:
    from metamemory.data.preparation import prepare
    from metamemory.study.parameters import Parameters

    if options.folder is not None and len(options.names) != 1:
        raise UserError("--folder is of one data set: python -m metamemory data NAME --folder FOLDER")
    if options.folder is not None:
        own = {options.names[0]: options.folder}
    else:
        own = Parameters().data_folders if not options.names or Path("params.yaml").exists() else {}
    prepare(options.names or Parameters().data_sets, Path("data"), mirror=options.mirror, own=own)


def _report(options: argparse.Namespace) -> None:
    from metamemory.study.parameters import Parameters

    Parameters(checked=False)  # elsewhere than in a project there is nothing to report
    if options.readme:
        from metamemory.papers.readme import write_readme

        write_readme()
    elif options.scorecard:
        from metamemory.papers.scorecard import print_scorecard

        print_scorecard()
    else:
        from metamemory.papers.report import print_report

        print_report()


def _list(options: argparse.Namespace) -> None:
    from metamemory.study.pipeline import target
    from metamemory.study.runs import planned
    from metamemory.study.today import Today

    today = Today()
    parameters = today.parameters
    scale = parameters.scale if options.scale is None else options.scale
    runs = planned(parameters, scale, parameters.experiments)
    for run in runs:
        headline = parameters.in_headline(run.experiment, run.method, run.setting)
        if options.headline and not headline:
            continue
        if options.stages:
            print(target(run))
        elif options.calls:
            print(run.call)
        else:
            state = str(today.state_as_far_as_known(run))
            print(f"{run.place:60} {state:9} {'headline' if headline else ''}".rstrip())
    if not (options.stages or options.calls or options.headline):
        for path, place in today.left_behind().items():
            print(f"{path.with_suffix('.*')}: of {place} as it was decided before; nothing goes on from it, delete it")


def _pipeline(options: argparse.Namespace) -> None:
    from metamemory.study import pipeline

    chosen = {name: value for name in ("scale", "seeds") if (value := getattr(options, name)) is not None}
    for line in pipeline.choose(Path(), **chosen):
        print(f"params.yaml: {line}")
    for path in pipeline.write_pipelines():
        print(f"{path} is new")


def _record(options: argparse.Namespace) -> None:
    from metamemory.study.locks import read_stages, record

    count, lost = record(previous=read_stages(options.models) if options.models else None)
    for place in lost:
        print(f"{place}: not recorded, since its model, or one of its files in results/, is not at hand")
    print(f"{count} runs recorded")


def _digests(options: argparse.Namespace) -> None:
    from metamemory.study.pipeline import write_digests

    changed, count = write_digests()
    print(f"digests: {changed} of {count} files changed")


if __name__ == "__main__":
    sys.exit(main())
