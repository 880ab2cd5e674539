"""The language rule names the language that went."""

from openseek.data.filters.language import Language
from openseek.data.transform import apply


def test_other_languages_go_with_their_name(documents) -> None:
    step = Language(keep=("en",))
    assert apply([step], documents(["hello"]), task="filter")[1].num_rows == 0
    _, dropped = apply([step], documents(["bonjour"], lang="fr"), task="filter")
    assert dropped.select(["rule", "detail"]).to_pylist() == [{"rule": "language", "detail": "fr"}]
    assert apply([step], documents(["x = 1"], lang="fr", source="code"), task="filter")[1].num_rows == 0
    assert apply([Language(keep=())], documents(["bonjour"], lang="fr"), task="filter")[1].num_rows == 0
