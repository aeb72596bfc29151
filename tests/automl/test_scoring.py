from automl.scoring import joint_status
from automl.trial import Outcome


def test_the_worst_status_counts_with_the_first_reason_for_it():
    short = Outcome(2, "finished", "micro-batches of 8 rows", score=0.5)
    cut, failed = Outcome(3, "cut", "the deadline came", score=0.5), Outcome(4, "diverged", "nan")
    assert joint_status([Outcome(1, "finished", score=0.5)]) == ("finished", "")
    assert joint_status([Outcome(1, "finished", score=0.5), short]) == ("finished", "micro-batches of 8 rows")
    assert joint_status([short, cut]) == ("cut", "the deadline came")
    assert joint_status([short, cut, failed]) == ("diverged", "nan")
    assert joint_status([]) == ("killed", "no outcome")
