"""All tables of the study on the terminal: `python -m metamemory report`."""

from pathlib import Path

from metamemory import papers
from metamemory.errors import UserError
from metamemory.study.results import finished
from metamemory.study.tables import stale_table
from metamemory.training.files import first_line


def print_report(root: Path = Path(".")) -> None:
    """One table after the other, paper by paper.

    Raises:
        UserError: a file in results/ is damaged.
    """
    if not any(finished(root)):
        print("Nothing has been run: `make study`, or `python -m metamemory run online_few_shot --method cl_lstm`")
        return
    print(
        "this study: mean and 95 % bootstrap interval, over seeds, or over test episodes of a single seed; bold (**): "
        "the best of a column, among what is reported and among this study's at each scale\n"
    )
    for paper in papers.available():
        for title, make in papers.sections(paper):
            try:
                table = make(root)
            except (LookupError, TypeError, ValueError, AttributeError) as error:  # of a result without what it shows
                raise UserError(
                    f"{root / 'results'}: {first_line(error)} is missing in what a run left, so that there is no table "
                    f"'{title}': `python -m metamemory list` says which are damaged"
                ) from error
            if table:
                print(f"{title}\n{table}\n")
    if table := stale_table(root):
        print(f"Stale: today's code might not give these again\n{table}\n")
