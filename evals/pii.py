"""Personal data found by the product, beside plain Presidio in the same run, on sentences made from templates.

The names' model is learnt anew from DATA. Where TEST is the same folder, it is learnt and measured in turns: the
templates are dealt to five parts, each part is measured by a model that saw none of its templates (nor the same
sentence in the data's other set). Where TEST is another folder, the model learns from all of DATA.
"""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any  # metrics are JSON

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

from evals.measured import Folders, Report, Row, read
from frontdesk.privacy import fitting
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Entity
from frontdesk.privacy.tagger import ORGANIZATION, Tagger

PARTS = 5
OVERLAP = 0.9  # of two spans of the same kind that are taken for the same: characters in both over characters in either
KINDS = {
    "EMAIL_ADDRESS": Entity.EMAIL, "PHONE_NUMBER": Entity.PHONE, "CREDIT_CARD": Entity.CARD, "IBAN_CODE": Entity.IBAN,
    "US_SSN": Entity.NATIONAL_ID, "IP_ADDRESS": Entity.IP, "DOMAIN_NAME": Entity.URL,
}  # fmt: skip
# What Presidio finds beside these, in our names; what it finds of kinds that nobody marked (dates, bank numbers) is not
# held against it.
PRESIDIO_KINDS = KINDS | {"PERSON": Entity.PERSON, "LOCATION": Entity.LOCATION, "URL": Entity.URL}
# A town or a country alone is found, but not promised: a place says who somebody is only beside more.
PROMISED = tuple(entity for entity in Entity if entity is not Entity.LOCATION)
# Messages in which hardly anybody is named: how often is somebody seen all the same?
EVERYDAY = (("hint3/hint3.jsonl", "text"), ("clinc150/clinc150.jsonl", "text"))

Span = tuple[int, int, str]
Find = Callable[[str], Iterable[Span]]


class Counts:
    """Right, found and marked spans by kind."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.marked: Counter[str] = Counter()

    def add(self, marked: Sequence[Span], found: Sequence[Span]) -> None:
        left = list(found)
        for span in marked:
            same = next((other for other in left if other[2] == span[2] and overlap(span, other) >= OVERLAP), None)
            if same is not None:
                left.remove(same)
                self.right[span[2]] += 1
        self.found.update(span[2] for span in found)
        self.marked.update(span[2] for span in marked)

    def figures(self, kinds: Iterable[str]) -> dict[str, Any]:
        names = list(kinds)
        right, found, marked = (sum(each[name] for name in names) for each in (self.right, self.found, self.marked))
        precision, recall = right / found if found else 0.0, right / marked if marked else 0.0
        return {
            "precision": round(precision, 4), "recall": round(recall, 4),
            "f1": f_score(precision, recall, 1), "f2": f_score(precision, recall, 2),
        }  # fmt: skip


class Hidden:
    """Characters of personal data of the promised kinds, and how many of them were found as of any kind."""

    def __init__(self) -> None:
        self.found = self.all = 0

    def add(self, marked: Sequence[Span], found: Sequence[Span]) -> None:
        seen = {at for start, end, _ in found for at in range(start, end)}
        for start, end, kind in marked:
            if kind in PROMISED:
                self.all += end - start
                self.found += sum(at in seen for at in range(start, end))

    @property
    def share(self) -> float | None:
        return round(self.found / self.all, 4) if self.all else None


def f_score(precision: float, recall: float, beta: float) -> float:
    weighed = beta**2 * precision + recall
    return round((1 + beta**2) * precision * recall / weighed, 4) if weighed else 0.0


def overlap(one: Span, other: Span) -> float:
    both = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, both) / (max(one[1], other[1]) - min(one[0], other[0]))


def marked(row: Row) -> list[Span]:
    """What is to be found, as the fitting reads it: titles are no part of names, an address's parts are one."""
    words = [span for span in fitting.marked(row) if span[2] != ORGANIZATION]
    forms = [(span["start"], span["end"], KINDS[span["type"]].value) for span in row["spans"] if span["type"] in KINDS]
    return sorted([*words, *forms])


def ours(detector: Detector) -> Find:
    return lambda text: [(each.start, each.end, each.entity.value) for each in detector.find(text)]


def presidio() -> Find:
    """Its recognisers with a blank pipeline: no model comes from a registry, so it finds no names and places."""
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # as packaged: nothing is fetched
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": spacy.blank("en")}
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(nlp_engine=engine)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])

    def find(text: str) -> Iterator[Span]:
        results = sorted(analyzer.analyze(text, language="en"), key=lambda result: result.start - result.end)
        for at, result in enumerate(results):
            kind = PRESIDIO_KINDS.get(result.entity_type)
            # As its anonymizer does: what lies within something longer (a domain in an address) is not counted.
            is_within = any(each.start <= result.start and result.end <= each.end for each in results[:at])
            if kind is not None and not is_within:
                yield result.start, result.end, kind.value

    return find


def template(row: Row) -> str:
    """The sentence without its values, written small: the same in both sets of the data."""
    text = row["text"]
    for span in sorted(row["spans"], key=lambda span: -span["start"]):
        text = f"{text[: span['start']]} {text[span['end'] :]}"
    return re.sub(r"[\W\d_]+", " ", text.lower()).strip()


def parts(rows: Sequence[Row]) -> list[tuple[list[Row], list[Row]]]:
    """(to learn from, to measure), the templates of the second in none of the first."""
    number = {name: at % PARTS for at, name in enumerate(sorted({template(row) for row in rows}))}
    return [
        ([row for row in rows if number[template(row)] != part], [row for row in rows if number[template(row)] == part])
        for part in range(PARTS)
    ]


def measure(folders: Folders) -> Report:
    report = Report("pii", folders)
    if not folders.has(fitting.LABELLED):
        return report
    learnt = read(folders.data / fitting.LABELLED)
    dealt = parts(learnt) if folders.is_split else [(learnt, read(folders.test / fitting.LABELLED))]
    words = fitting.gather(folders.data)
    product, plain = Counts(), Counts()
    product_hides, plain_hides = Hidden(), Hidden()
    plain_finds = presidio()
    plain_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, (known, new) in enumerate(dealt):
            path = Path(folder) / f"{number}.crfsuite"
            fitting.fit(fitting.sentences(folders.data, known, words), words, path)
            product_finds = ours(Detector(Tagger(path, words)))
            for row in new:
                wanted = marked(row)
                began = time.process_time()
                found = fitting.joined(row["text"], product_finds(row["text"]))
                report.busy_s += time.process_time() - began
                began = time.process_time()
                others = fitting.joined(row["text"], plain_finds(row["text"]))
                plain_s += time.process_time() - began
                for counts, spans in ((product, found), (plain, others), (product_hides, found), (plain_hides, others)):
                    counts.add(wanted, spans)
            report.items += len(new)
        kinds = [entity for entity in Entity if product.marked[entity]]
        promised = [kind for kind in kinds if kind in PROMISED]
        report.metrics |= product.figures(promised)
        report.metrics["characters_hidden"] = product_hides.share
        report.metrics["by_entity"] = {kind.value: product.figures([kind]) for kind in kinds}
        report.metrics["presidio"] = plain.figures(promised) | {
            "characters_hidden": plain_hides.share,
            "ms_per_item": round(plain_s / report.items * 1000, 3),
            "by_entity": {kind.value: plain.figures([kind]) for kind in kinds},
        }
        report.metrics["f2_above_presidio"] = round(report.metrics["f2"] - report.metrics["presidio"]["f2"], 4)
        report.metrics["everyday_messages_with_a_person_or_address"] = everyday(folders, product_finds)
    return report


def everyday(folders: Folders, find: Find) -> dict[str, float]:
    """Share of messages in which a person or an address is seen; in some of them there is one."""

    def is_left_out(path: str, row: Row) -> bool:
        return not folders.is_split or path not in fitting.LEARNT or fitting.is_left_out(row)

    shares = {}
    for path, field in EVERYDAY:
        if (folders.test / path).is_file():
            texts = [row[field] for row in read(folders.test / path) if is_left_out(path, row)]
            hits = [any(span[2] in (Entity.PERSON, Entity.ADDRESS) for span in find(text)) for text in texts]
            shares[path.partition("/")[0]] = round(sum(hits) / len(hits), 4)
    return shares


def main() -> None:
    measure(Folders.from_arguments(__doc__ or "")).finish(measured="all of it, by models that saw other templates")


if __name__ == "__main__":
    main()
