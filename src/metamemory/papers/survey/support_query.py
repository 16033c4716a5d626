"""Support and query sets: accuracy by ways and shots, the papers' numbers beside this study's own."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from metamemory.papers.survey.reported import DATA, SETTINGS, TABLES, TITLES, Numbers, Setting
from metamemory.study import methods
from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import groups
from metamemory.study.tables import across, best_in_bold, markdown

EXPERIMENT = "support_query"
METHOD = "protonet"  # the one that has to be in every table
ACCURACY = at_shot(0)  # a run has one row
FAMILIES = ("metric", "gradient", "recurrent", "memory", "attention", "fast_weights", "neural_process")  # in order


def title(method: str) -> str:
    """The method as the study names it, or, where the study does not have it, as its paper does."""
    name = methods.title(method)
    return TITLES.get(method, name) if name == method else name


def transductive(method: str) -> str:
    """Whether queries are answered with the help of one another, in a word."""
    return "yes" if methods.method(method).transductive else "no"


def by_family(names: Iterable[str]) -> list[str]:
    """Methods, those of a family together, and within it in the order given."""
    places = {family: place for place, family in enumerate(FAMILIES)}
    return sorted(dict.fromkeys(names), key=lambda name: places.get(methods.method(name).family, len(places)))


def setting_of(data: str, n_way: int, k_shot: int) -> str:
    """The setting of the experiment's runs: "omniglot_5_way_1_shot"."""
    return f"{data}_{n_way}_way_{k_shot}_shot"


def place_of(data: str) -> str:
    """The place of the papers' numbers: "support and query sets, Omniglot"."""
    return f"support and query sets, {DATA[data]}"


def column_of(n_way: int, k_shot: int) -> str:
    """The name of a setting in tables and figures: "5-way 1-shot"."""
    return f"{n_way}-way {k_shot}-shot"


def table(data: str, root: Path = Path("."), only: Sequence[str] = ()) -> str:
    """Every method with what its paper and others report of it, and this study's runs at every scale; or those given,
    of which it is said where they were not run."""
    ours = {setting: groups(EXPERIMENT, setting_of(data, *setting), root) for setting in settings_of(data, root)}
    run = dict.fromkeys(group.run.method for of_setting in ours.values() for group in of_setting)
    rows = []
    for method in only or by_family([*TABLES[data], *sorted(run)]):
        named = title(method), transductive(method)
        rows += [[*named, by, *_reported(numbers, ours), "–"] for by, numbers in TABLES[data].get(method, {}).items()]
        rows += [[*named, *cells] for cells in across(ours, method, lambda _: ACCURACY)]
        if method not in run and method in (*only, METHOD):
            rows.append([*named, "this study", *["not run"] * len(ours), "–"])
    rows = best_in_bold(rows, range(3, 3 + len(ours)), whose=2)
    return markdown(["method", "transductive", "whose", *(f"{column_of(*each)}, %" for each in ours), "seeds"], rows)


def settings_of(data: str, root: Path = Path(".")) -> list[Setting]:
    """Those of a data set of which somebody reports a number, or this study has one."""
    reported = {setting for sources in TABLES[data].values() for numbers in sources.values() for setting in numbers}
    return [each for each in SETTINGS if each in reported or groups(EXPERIMENT, setting_of(data, *each), root)]


def _reported(numbers: Numbers, settings: Iterable[Setting]) -> list[str]:
    return [str(numbers.get(setting, "–")) for setting in settings]


def claims() -> list[Claim]:
    """That Prototypical networks come within a point of what their paper reports."""
    reported = {
        ("omniglot", setting): number for setting, number in TABLES["omniglot"][METHOD]["Snell et al. 2017"].items()
    } | {
        ("cifar_fs", setting): number
        for setting, number in TABLES["cifar_fs"][METHOD]["Bertinetto et al. 2019"].items()
    }
    return [
        Claim(
            f"{title(METHOD)}, {column_of(n_way, k_shot)}, {DATA[data]}",
            paper=f"{number} %",
            pairs=[(Measured(EXPERIMENT, METHOD, setting_of(data, n_way, k_shot), ACCURACY), number.mean)],
            margin=0.01,
            reported=[0.0],
        )
        for (data, (n_way, k_shot)), number in reported.items()
    ]


CLAIM_COLUMNS = OF_ONE
