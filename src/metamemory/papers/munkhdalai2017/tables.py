"""Tables of Munkhdalai and Yu 2017 beside this study's own runs, and what the paper concludes from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from metamemory.papers.munkhdalai2017.reported import (
    FIGURE_3,
    FIGURE_4,
    FIGURE_5,
    FROM_OTHERS,
    HUNDRED,
    QUOTED_1,
    QUOTED_2,
    QUOTED_3,
    QUOTED_5,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    WAYS,
    Numbers,
)
from metamemory.study.claims import OF_ONE, Claim, points
from metamemory.study.methods import title
from metamemory.study.parameters import parameters_of, project_root
from metamemory.study.quantities import Measured, Quantity, at_shot, over_seeds
from metamemory.study.results import Result, groups
from metamemory.study.tables import Reported, across, best_in_bold, markdown, minutes_of, percent, span, whose
from metamemory.training.statistics import Interval

EXPERIMENT, VARIATIONS, OTHER_NETWORKS = "one_shot_omniglot", "one_shot_variations", "fixed_networks"
MINI_IMAGENET, MINI_SETTINGS = "one_shot_mini_imagenet", {"train_5_way": 5, "train_10_way": 10}
DIGITS, TRANSFER = ("omniglot_to_mnist", "ten_way"), ("reverse_transfer", "five_way")
PERCEPTRON = "meta_networks_perceptron"
INSPECTION = ("fast_weights", "previous_5_way")
METHODS = ("meta_networks", "meta_networks_minus", "meta_networks_plus")
HEADER = ["method", "whose", *(f"{n}-way, %" for n in WAYS), "seeds"]
NEAR = 0.01  # below a reported number, and still as reported
LAST = 10  # points of a curve that are its end


def setting_of(split: str, n_way: int) -> str:
    """Of runs trained with so many classes; `split` is "previous" or "standard"."""
    return f"{split}_{n_way}_way"


def with_classes(n_way: int) -> Quantity:
    """Accuracy in the test with so many classes."""

    def of(result: Result) -> Interval | None:
        rows = [row for row in result.scores if row["n_way"] == n_way]
        return Interval(rows[0]["accuracy"], rows[0]["low"], rows[0]["high"], over="episodes") if rows else None

    return of


def table_1(root: Path = Path(".")) -> str:
    """The previous split, trained and tested with as many classes."""
    return _by_ways("previous", TABLE_1, QUOTED_1, METHODS, root)


def _end_of(curve: Sequence[float]) -> float:
    """Mean of the last points of a curve."""
    return sum(curve[-LAST:]) / LAST


def two_answers(root: Path = Path(".")) -> str:
    """What the paper's Figure 3 has where its Table 1 has another number; and, where they were run, how this study's
    networks of the paper's size end on the characters that they are trained on."""
    curve, method = FIGURE_3["target"], METHODS[0]
    told = (
        f"The paper has two answers for five classes. Its Table 1 has {_two(TABLE_1[method][5])} %. Its Figure 3 "
        f"(below) is of a MetaNet in training, tested on the same task: the highest of its {len(curve)} points is "
        f"{max(curve):g} %, and the last {LAST} have a mean of {_end_of(curve):.1f} %."
    )
    ours = groups(EXPERIMENT, setting_of("previous", 5), root, method)
    ends = [result.history[-1]["training_accuracy"] for group in ours if group.comparable for result in group.results]
    if not ends:
        return told
    return (
        f"{told} This study's of that size are near the figure. On the characters of their training they end at "
        f"{100 * sum(ends) / len(ends):.0f} %: what they miss is what is new in others."
    )


def table_2(root: Path = Path(".")) -> str:
    """miniImageNet, five classes, one shot: what the paper quotes and reports, then this study's runs."""
    rows = [[name, "quoted", str(number), "–", "–"] for name, number in QUOTED_2.items()]
    rows += [[title(name), "paper", str(number), "not said", "–"] for name, number in TABLE_2.items()]
    ours = []
    for setting, trained in MINI_SETTINGS.items():
        for group in groups(MINI_IMAGENET, setting, root):
            accuracy = percent(over_seeds(group, with_classes(5)))
            ours.append([title(group.run.method), whose(group), accuracy, f"{trained}-way", str(len(group.results))])
    ours = ours or [[title("meta_networks"), "this study", "not run", "–", "–"]]
    rows = best_in_bold([*rows, *ours], [2], whose=1)
    return markdown(["method", "whose", "5-way 1-shot, %", "trained", "seeds"], rows)


def figure_5(root: Path = Path(".")) -> str:
    """Trained on characters, tested on digits: the numbers of the figure."""
    rows = [[name, "quoted", str(number), "–"] for name, number in QUOTED_5.items()]
    ours = groups(*DIGITS, root)
    for method in dict.fromkeys([*FIGURE_5, *(group.run.method for group in ours)]):
        if method in FIGURE_5:
            by = "quoted" if method in FROM_OTHERS else "paper"
            rows.append([title(method), by, str(FIGURE_5[method]), "–"])
        found = [group for group in ours if group.run.method == method]
        for group in found:
            accuracy = percent(over_seeds(group, with_classes(10)))
            rows.append([title(method), whose(group), accuracy, str(len(group.results))])
        if not found:
            rows.append([title(method), "this study", "not run", "–"])
    return markdown(["method", "whose", "10-way 1-shot, %", "seeds"], best_in_bold(rows, [2], whose=1))


def change_of(place: int) -> Quantity:
    """Change of the accuracy on characters in the row of a measurement, over repeats."""

    def of(result: Result) -> Interval:
        row = result.scores[place]
        return Interval(row["change"], row["low"], row["high"], over="repeats")

    return of


def table_3(root: Path = Path(".")) -> str:
    """The standard split."""
    return _by_ways("standard", TABLE_3, QUOTED_3, METHODS[:1], root)


def table_4(root: Path = Path(".")) -> str:
    """MetaNet trained with N classes and tested with K: the paper's rows, and below each this study's."""
    rows = []
    for trained, reported in TABLE_4.items():
        name = f"{trained}-way"
        hundred = f"about {_two(HUNDRED)}" if trained == 10 else "–"
        rows.append([name, "paper", *(_two(reported[n]) for n in WAYS), hundred, "–"])
        found = groups(EXPERIMENT, setting_of("previous", trained), root, "meta_networks")
        for group in found:
            numbers = [percent(over_seeds(group, with_classes(n))) for n in (*WAYS, 100)]
            rows.append([name, whose(group), *numbers, str(len(group.results))])
        if not found:
            rows.append([name, "this study", *["not run"] * len(WAYS), "not run" if trained == 10 else "–", "–"])
    rows = best_in_bold(rows, range(2, 2 + len(WAYS)), whose=1)
    return markdown(["trained", "whose", *(f"{n}-way test, %" for n in (*WAYS, 100)), "seeds"], rows)


def variations(root: Path = Path(".")) -> str:
    """Five classes: MetaNet, and what it and its authors' code do otherwise, then which of it was not run; empty where
    nothing was run."""
    rows, run = [], set()
    for group in groups(VARIATIONS, setting_of("previous", 5), root):
        run.add(group.run.method)
        accuracy = percent(over_seeds(group, with_classes(5)))
        tasks = span([result.manifest["training_episodes"] for result in group.results], 0)
        minutes = minutes_of(group)
        rows.append([title(group.run.method), whose(group), accuracy, tasks, minutes, str(len(group.results))])
    if not rows:
        return ""
    missing = [title(each) for each in parameters_of(project_root()).methods(VARIATIONS) if each not in run]
    shown = markdown(["method", "whose", "5-way, %", "tasks", "minutes", "seeds"], rows)
    return f"{shown}\n\nNot run yet: {'; '.join(missing)}." if missing else shown


def _by_ways(
    split: str, reported: Mapping[str, Numbers], quoted: Mapping[str, Numbers], wanted: tuple[str, ...], root: Path
) -> str:
    """What the paper quotes, then every method with what the paper reports of it and this study's runs."""
    ours = {n: groups(EXPERIMENT, setting_of(split, n), root) for n in WAYS}
    run = dict.fromkeys(group.run.method for of_setting in ours.values() for group in of_setting)
    rows = [[name, "quoted", *_reported(numbers), "–"] for name, numbers in quoted.items()]
    for method in dict.fromkeys([*wanted, *sorted(run)]):
        if method in reported:
            rows.append([title(method), "paper", *_reported(reported[method]), "–"])
        rows += [[title(method), *cells] for cells in across(ours, method, with_classes)]
        if method not in run:
            rows.append([title(method), "this study", *["not run"] * len(WAYS), "–"])
    return markdown(HEADER, best_in_bold(rows, range(2, 2 + len(WAYS)), whose=1))


def _two(reported: Reported) -> str:
    """As the paper prints it."""
    text = f"{100 * reported.mean:.2f}"
    return text.removesuffix("0")


def _reported(numbers: Numbers) -> list[str]:
    return [_two(numbers[n]) if n in numbers else "–" for n in WAYS]


def _measured(method: str, split: str, trained: int, tested: int | None = None) -> Measured:
    return Measured(EXPERIMENT, method, setting_of(split, trained), with_classes(tested or trained))


def _near(text: str, ours: Measured, reported: Reported, told: str = "") -> Claim:
    """That what is measured is as reported, or no more than a point below."""
    shown = told or f"{_two(reported)} %"
    whole = f"{text}, within a point of the paper"
    return Claim(whole, shown, pairs=[(ours, reported.mean)], margin=NEAR, reported=[0.0])


def _above(text: str, difference: float, pairs: Sequence[tuple[Measured, Measured]], digits: int = 2) -> Claim:
    """A claim of which the paper's evidence is one difference, a share of 1."""
    return Claim(text, f"{100 * difference:+.{digits}f}", pairs=pairs, reported=[difference])


def claims() -> list[Claim]:
    """What the paper reports, and what it concludes of it (section 4)."""
    near = [
        _near(f"MetaNet, {n}-way, {split} split", _measured("meta_networks", split, n), reported["meta_networks"][n])
        for split, reported in (("previous", TABLE_1), ("standard", TABLE_3))
        for n in WAYS
    ]
    compared = [
        _above(
            f"{text}, {n}-way",
            TABLE_1["meta_networks"][n].mean - TABLE_1[worse][n].mean,
            pairs=[(_measured("meta_networks", "previous", n), _measured(worse, "previous", n))],
        )
        for text, worse in (
            ("MetaNet is better with task-level fast weights than without", "meta_networks_minus"),
            ("MetaNet is better without task-level fast weights in the base learner", "meta_networks_plus"),
        )
        for n in WAYS
    ]
    more = [
        _above(
            f"tested on 5 classes, MetaNet is better when trained on {n} than on 5",
            TABLE_4[n][5].mean - TABLE_4[5][5].mean,
            pairs=[(_measured("meta_networks", "previous", n, 5), _measured("meta_networks", "previous", 5))],
        )
        for n in WAYS[1:]
    ]
    ours = _measured("meta_networks", "previous", 10, 100)
    hundred = _near("MetaNet trained on 10 classes names one of 100", ours, HUNDRED, f"about {_two(HUNDRED)} %")
    return [*near, *compared, *more, hundred, *_of_other_networks(), *_of_other_data()]


def _of_other_networks() -> list[Claim]:
    """Section 4.3.2; the paper's evidence is the end of each curve of its Figure 3. Scores have a row for each network,
    in the order of the curves."""
    end = {name: _end_of(curve) / 100 for name, curve in FIGURE_3.items()}
    own, *others = (
        Measured(OTHER_NETWORKS, "meta_networks", setting_of("previous", 5), at_shot(row)) for row in range(len(end))
    )
    lost = [end["target"] - end[name] for name in ("small", "big")]
    return [
        Claim(
            "MetaNet is better with its own base learner than with one never trained, of half or twice its filters",
            points(lost),
            pairs=[(own, other) for other in others],
            reported=lost,
        ),
        Claim(
            "with one never trained it loses three points at most",
            points(-each for each in lost),
            pairs=[(other, own) for other in others],
            margin=0.03,
            reported=[-each for each in lost],
        ),
    ]


def _of_other_data() -> list[Claim]:
    """Sections 4.1.2 and 4.3.3, appendix B."""

    def mini(method: str) -> Measured:
        return Measured(MINI_IMAGENET, method, "train_5_way", with_classes(5))

    def digits(method: str) -> Measured:
        return Measured(DIGITS[0], method, DIGITS[1], with_classes(10))

    def change(place: int) -> Measured:
        return Measured(TRANSFER[0], PERCEPTRON, TRANSFER[1], change_of(place))

    number, on_digits = TABLE_2["meta_networks"], FIGURE_5["meta_networks"]
    matching = QUOTED_2["Matching Nets (Vinyals et al. 2016)"].mean
    return [
        _near("MetaNet, 5-way, miniImageNet", mini("meta_networks"), number),
        _above(
            "MetaNet is better than matching networks on miniImageNet",
            number.mean - matching,
            pairs=[(mini("meta_networks"), mini("matching"))],
        ),
        _near("MetaNet, trained on Omniglot and tested on MNIST", digits("meta_networks"), on_digits),
        *(
            _above(
                f"MetaNet is better than {text} when tested on MNIST",
                on_digits.mean - FIGURE_5[other].mean,
                pairs=[(digits("meta_networks"), digits(other))],
                digits=1,
            )
            for other, text in (
                ("meta_networks_minus", "MetaNet−"),
                ("meta_networks_plus", "MetaNet+"),
                ("matching", "matching networks"),
                ("siamese", "Siamese networks"),
            )
        ),
        Claim(
            "some training of the rule on permuted digits raises the accuracy on characters",
            f"{FIGURE_4[0]:+.2f}",
            pairs=[(change(0), 0.0)],
            reported=[FIGURE_4[0] / 100],
        ),
        Claim(
            "much training of the rule on permuted digits lowers it by 1.7 points at most",
            f"{FIGURE_4[-1]:+.2f}",
            pairs=[(change(-1), 0.0)],
            margin=0.017,
            reported=[FIGURE_4[-1] / 100],
        ),
    ]


CLAIM_COLUMNS = OF_ONE
