"""Certificates in a report: read and held against their arrays, and shown as an interval with the strongest attack."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from advae.checks import list_made_checks
from advae.cli.report_output import SECTIONS
from advae.errors import CorruptError
from advae.records import CheckResult, Manifest
from advae.report import write_comparison
from advae.report.analysis.certified_accuracy import list_certified, list_smoothed
from advae.report.analysis.check_results import list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.headlines import write_headlines
from advae.report.analysis.tables import Findings
from advae.report.data.certificate_reader import open_certificate
from advae.report.data.contents import Comparison
from advae.report.drawing.accuracy import draw_accuracy
from advae.report.drawing.smoothed import draw_smoothed
from advae.report.formats.json_schema import describe_schema
from advae.report.wording import NBSP
from tests.calls import call, succeed
from tests.report_fixtures import Lab, print_summary, read_files, read_headlines

RADII = (0.0, 0.3, 0.8, 1.2)


def add_pipeline(lab: Lab) -> Manifest:
    return lab.add_classifier(lab.add_autoencoder())


@pytest.fixture
def attacked(lab: Lab) -> Manifest:
    """A run on a pipeline with a purifier, whose robust accuracy at 0.1 and 0.3 is 49 % and 22 %."""
    return lab.add_run(add_pipeline(lab), checked=True)


def prove(lab: Lab, run: Manifest, **changes: Any) -> Manifest:
    """Add a certificate of the run's classifier on its images; 22 % and 15 % are certified at 0.1 and 0.3."""
    return lab.add_certificate(lab.registry.manifest(run.parents[0]), like=run, **({"proved": (0.4, 0.15)} | changes))


def compare(lab: Lab) -> Comparison:
    return compare_runs(lab.registry, lab.registry.entries("run"))


def check(comparison: Comparison) -> CheckResult:
    (pipeline,) = comparison.pipelines
    return next(one for one in pipeline.checks if one.check == "certificate")


# ---------------------------------------------------------------- no attack breaks a certified image


def test_a_sound_certificate_passes_and_every_pair_is_counted(lab: Lab, attacked: Manifest) -> None:
    prove(lab, attacked)
    result = check(compare(lab))
    assert (result.status, result.number) == ("PASS", 22 + 2 * 15 - 15)
    assert not [one for one in list_failures(compare(lab)) if "certificate" in one]


def test_a_forged_run_that_breaks_a_certified_image_fails_by_its_id(
    lab: Lab, attacked: Manifest, tmp_path: Path
) -> None:
    certificate = prove(lab, attacked)
    arrays = lab.registry.read_arrays(certificate, "certificates.npz")
    image = int(arrays["sample_ids"][arrays["certified"][1]][0])
    lab.add_run(lab.registry.manifest(attacked.parents[0]), threat="oblivious", eps=(0.3,), keep=(0.0,), checked=True)
    comparison = compare(lab)
    result = check(comparison)
    assert result.status == "FAIL"
    assert result.sentence.startswith(
        f"image {image}, certified at eps 0.3 by {certificate.id}, is misclassified under bim"
    )
    assert any(result.sentence in one for one in list_failures(comparison))
    files = read_files(lab, lab.registry.entries("run"), tmp_path)
    for name in ("html", "md", "json", "csv-checks"):
        assert f"image {image}, certified at eps 0.3 by {certificate.id}" in files[name].replace("\\", "")
    assert "Not reliable: 2 of" in files["html"]


BESIDE: dict[str, dict[str, Any]] = {
    "a larger eps": {"eps": (0.4,)},
    "not clipped": {"eps": (0.3,), "valid": False},
    "encoded": {"eps": (0.3,), "threat": "encoded"},
    "another norm": {"eps": (0.3,), "norm": "l2"},
    "a pipeline that samples": {"eps": (0.3,), "found": {"stochastic": True}},
}


@pytest.mark.parametrize("changes", BESIDE.values(), ids=BESIDE)
def test_what_a_certificate_says_nothing_about_is_not_compared(
    changes: dict[str, Any], lab: Lab, attacked: Manifest
) -> None:
    prove(lab, attacked)
    before = check(compare(lab))
    lab.add_run(lab.registry.manifest(attacked.parents[0]), keep=(0.0,), checked=True, **changes)
    assert check(compare(lab)) == before


def test_a_break_is_found_without_an_adaptive_run(lab: Lab) -> None:
    run = lab.add_run(add_pipeline(lab), threat="oblivious", checked=True)
    prove(lab, run, spoil=lambda arrays: None)
    assert check(compare(lab)).status == "PASS"
    lab.add_run(lab.registry.manifest(run.parents[0]), threat="oblivious", keep=(0.0, 0.0), method="pgd", checked=True)
    comparison = compare(lab)
    assert check(comparison).status == "FAIL"
    assert any(one.startswith("certificate FAIL of run-") for one in list_failures(comparison))
    (headline,) = write_headlines(comparison)
    assert headline.alarm is not None


def test_without_a_certificate_a_report_says_what_it_said(lab: Lab, attacked: Manifest, tmp_path: Path) -> None:
    comparison = compare(lab)
    assert check(comparison).status == "NOT RUN"
    assert write_headlines(comparison)[0].summary.startswith(f"{len(list_made_checks(random=False)) - 1} checks: ")
    files = read_files(lab, [attacked], tmp_path)
    assert "certified" not in files["md"].replace("Is no image broken that a certificate proves?", "")
    assert not {"csv-certified", "csv-smoothed"} & files.keys()
    assert "certificate" not in print_summary(comparison)


# ---------------------------------------------------------------- the interval [certified, strongest attack]


def test_both_ends_are_in_every_format(lab: Lab, attacked: Manifest, tmp_path: Path) -> None:
    certificate = prove(lab, attacked)
    robust = attacked.as_run()[1].results[1]
    assert (robust.accuracy, certificate.as_certificate()[1].results[1].certified_accuracy) == (0.22, 0.15)
    files = read_files(lab, [attacked], tmp_path)
    page, markdown = (html.unescape(files[name]).replace("\\", "").replace(NBSP, " ") for name in ("html", "md"))
    for text in (page, markdown):
        assert (
            f"15.0 % [9.3, 23.3] (ibp, eps 0.3 (76.5/255), {certificate.id}), so the robust accuracy is between" in text
        )
        assert "between 15.0 % and 22.0 %" in text
        assert "15.0 % to 22.0 %" in text
    assert "15.0 % <small>certified, to</small> 22.0 %" in page
    document = json.loads(files["json"])
    Draft202012Validator(describe_schema({})).validate(
        {name: value for name, value in document.items() if name != "paper"}
    )
    (headline,) = document["headlines"]
    assert (headline["certified"]["accuracy"], headline["certified"]["robust_accuracy"]) == (0.15, 0.22)
    assert [one["certified"]["accuracy"] for one in document["accuracy"]] == [0.22, 0.15]
    assert [one["certified_accuracy"] for one in document["certified"]] == [0.22, 0.15]
    line = [*csv.DictReader(io.StringIO(files["csv-certified"]))][1]
    assert (line["certified_accuracy"], line["strongest_robust_accuracy"]) == ("0.15", "0.22")
    assert line["run"] == attacked.id
    assert [*csv.DictReader(io.StringIO(files["csv"]))][1]["certified_accuracy"] == "0.15"
    assert any(command.startswith("advae certify --method ibp --norm linf") for command in document["commands"])


def test_the_answer_the_terminal_and_the_table_have_both(lab: Lab, attacked: Manifest) -> None:
    prove(lab, attacked)
    comparison = compare(lab)
    told = answer(Findings(comparison)).replace(NBSP, " ")
    assert "The certified accuracy of vanilla is 15.0 % [9.3, 23.3]" in told
    assert "so the robust accuracy is between 15.0 % and 22.0 %" in told
    lines = print_summary(comparison).splitlines()
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if line.startswith("  vanilla ")]
    assert line.split()[1:5] == ["22.0", "[15.0,", "31.1]", "15.0"]
    assert "Certified accuracy: 15.0 % [9.3, 23.3] (ibp, n = 100)" in "\n".join(lines).replace(NBSP, " ")
    grid = read_headlines(comparison)
    assert dict(zip(grid.titles, grid.rows[0], strict=True))["certified accuracy"].startswith("15.0")


def test_a_weak_attack_on_a_certified_pipeline_is_an_upper_bound(lab: Lab) -> None:
    run = lab.add_run(add_pipeline(lab), checked=True, stuck=1.0)
    prove(lab, run)
    told = answer(Findings(compare(lab))).replace(NBSP, " ")
    assert told.startswith("The robust accuracy of the vanilla autoencoder in front of nn on digits is not known from ")
    assert "from attacks alone: 1 of" in told
    assert "which is an upper bound only. The certified accuracy of vanilla is 15.0 %" in told


def test_a_larger_certified_eps_bounds_a_smaller_one_and_not_the_other_way_round(lab: Lab) -> None:
    run = lab.add_run(add_pipeline(lab), eps=(0.2,), keep=(0.6,), checked=True)
    prove(lab, run, proved=(0.4, 0.15))
    (row,) = compare(lab).rows
    assert row.bounds is not None
    assert (row.bounds.eps, row.bounds.lower) == (0.3, 0.15)
    large = lab.add_run(lab.registry.manifest(run.parents[0]), eps=(0.4,), keep=(0.2,), checked=True)
    assert all(row.bounds is None for row in compare(lab).rows if row.id == large.id)


def test_the_interval_is_of_the_images_of_both(lab: Lab, attacked: Manifest) -> None:
    classifier = lab.registry.manifest(attacked.parents[0])
    few = lab.add_run(classifier, n=20, keep=(0.6, 0.5), method="pgd", checked=True)
    prove(lab, few, n=20, proved=(0.5, 0.5))
    row = next(row for row in compare(lab).rows if row.id == attacked.id and row.eps == 0.3)
    assert row.bounds is not None
    assert (row.bounds.n, row.bounds.whole) == (20, False)
    expected = float((row.right[:20]).mean())
    assert row.bounds.upper == expected
    told = answer(Findings(compare(lab)))
    assert "on the 20 images that were both certified and attacked" in told


def test_an_undefended_classifier_has_its_own_certificate(lab: Lab, attacked: Manifest) -> None:
    bare = lab.add_run(lab.add_classifier(), keep=(0.3, 0.1), checked=True)
    prove(lab, bare, proved=(0.05, 0.01))
    prove(lab, attacked)
    found = {one.autoencoder: one.certified_accuracy for one in Findings(compare(lab)).collect(list_certified)}
    assert found == {"vanilla": 0.15, "none": 0.01}
    (row,) = [row for row in compare(lab).rows if row.id == attacked.id and row.eps == 0.3]
    assert row.undefended is not None
    assert row.undefended.bounds is not None
    assert row.undefended.bounds.lower == 0.01


def test_the_chart_has_a_band_from_the_proof_to_the_strongest_attack(lab: Lab, attacked: Manifest) -> None:
    lab.add_run(lab.registry.manifest(attacked.parents[0]), keep=(0.9, 0.8), method="fgsm", steps=None, checked=True)
    certificate = prove(lab, attacked)
    drawings = list(draw_accuracy(compare(lab)))
    assert len(drawings) == 2
    for drawing in drawings:
        assert "certified (ibp)" in [line.label for line in drawing.charts[0].lines]
        assert certificate.id in drawing.caption
        assert "to the strongest attack on the same images" in drawing.caption
    lab.registry.remove(certificate.id)
    labels = [str(line.label) for drawing in draw_accuracy(compare(lab)) for line in drawing.charts[0].lines]
    assert all("certified" not in label for label in labels)


# ---------------------------------------------------------------- what the purifier brings


def add_certified(lab: Lab, body: str, proved: tuple[float, float], **options: Any) -> Manifest:
    """Add a certified autoencoder, the classifier behind it and a certificate; return the certificate."""
    shared = {"body": body, "train_eps": 0.3, "kappa": 0.5} | options
    autoencoder = lab.add_autoencoder("certified", loss="squared-error", rescale="none", options=shared)
    return lab.add_certificate(lab.add_classifier(autoencoder, model="cnn"), proved=proved)


def write_certificates(lab: Lab, out: Path) -> dict[str, str]:
    """Return the files of a report on all certificates, as a reader sees their text."""
    comparison = compare_runs(lab.registry, [], certificates=lab.registry.entries("cert"))
    files = {name: path.read_text("utf-8") for name, path in write_comparison(comparison, out).items()}
    return {name: html.unescape(text).replace("\\", "").replace(NBSP, " ") for name, text in files.items()}


def list_gains(lab: Lab) -> dict[str, Any]:
    """Return what certificates at the largest eps are beside, by the certificate's id."""
    comparison = compare_runs(lab.registry, [], certificates=lab.registry.entries("cert"))
    return {one.certificate: one.without for one in Findings(comparison).collect(list_certified) if one.eps == 0.3}


def test_a_purifier_is_set_beside_the_same_classifier_trained_without_one(lab: Lab, tmp_path: Path) -> None:
    threshold = add_certified(lab, "threshold", (0.5, 0.4), slope=5.0)
    none = add_certified(lab, "none", (0.4, 0.1))
    add_certified(lab, "none", (0.5, 0.4), train_eps=0.1)
    lab.add_certificate(lab.add_classifier(model="cnn"), proved=(0.1, 0.0))
    gains = list_gains(lab)
    gain = gains[threshold.id]
    assert (gain.id, gain.accuracy, round(gain.difference, 9), gain.nothing) == (none.id, 0.1, 0.3, False)
    assert gain.mcnemar_p == 2 / 2**30
    assert gains[none.id] is None
    files = write_certificates(lab, tmp_path)
    for name in ("html", "md"):
        assert "10.0 %; the purifier brings +30.0, p <0.001" in files[name]
        # Two classifiers without a purifier are told apart by their ids.
        assert f"certified, no purifier ({gain.classifier_id})" in files[name]


@pytest.mark.parametrize("without", [0.4, 0.37, 0.6], ids=["the same", "by chance", "a loss"])
def test_a_purifier_that_brings_nothing_is_said_to(lab: Lab, without: float, tmp_path: Path) -> None:
    threshold = add_certified(lab, "threshold", (0.7, 0.4))
    add_certified(lab, "none", (0.7, without))
    assert list_gains(lab)[threshold.id].nothing
    assert "the purifier brings nothing" in write_certificates(lab, tmp_path)["md"]


def test_other_purifiers_are_set_beside_an_undefended_classifier(lab: Lab) -> None:
    vanilla = lab.add_certificate(add_pipeline(lab), proved=(0.2, 0.1))
    assert list_gains(lab)[vanilla.id].status == "NOT RUN"
    bare = lab.add_certificate(lab.add_classifier(), proved=(0.3, 0.2))
    gains = list_gains(lab)
    assert (gains[vanilla.id].id, round(gains[vanilla.id].difference, 9)) == (bare.id, -0.1)
    assert gains[bare.id] is None


@pytest.mark.parametrize(
    "changes",
    [{"method": "exact"}, {"norm": "l2"}, {"eps": (0.1, 0.2)}, {"first_id": 50}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_purifier_is_set_beside_the_same_proof_on_the_same_images_only(lab: Lab, changes: dict[str, Any]) -> None:
    vanilla = lab.add_certificate(add_pipeline(lab), proved=(0.2, 0.1))
    lab.add_certificate(lab.add_classifier(), **changes)
    assert list_gains(lab)[vanilla.id].status == "NOT RUN"


# ---------------------------------------------------------------- the smoothed pipeline


def test_a_smoothed_pipeline_has_its_own_table_and_curve_and_is_set_against_no_attack(
    lab: Lab, attacked: Manifest, tmp_path: Path
) -> None:
    classifier = lab.registry.manifest(attacked.parents[0])
    broken = lab.add_run(classifier, norm="l2", eps=(0.5,), keep=(0.0,), checked=True)
    certificate = lab.add_certificate(classifier, radii=RADII, eps=(0.5, 1.0))
    comparison = compare(lab)
    result = check(comparison)
    assert result.status == "NOT RUN"
    assert "smoothed pipeline" in result.sentence
    assert all(row.bounds is None for row in comparison.rows)
    assert not Findings(comparison).collect(list_certified)
    first, second = Findings(comparison).collect(list_smoothed)
    assert (first.certified_accuracy, second.certified_accuracy) == (0.44, 0.22)
    assert (first.abstained, first.clean_accuracy, first.sigma, first.alpha) == (25, 0.67, 0.5, 0.001)
    (drawing,) = draw_smoothed(comparison)
    assert certificate.id in drawing.caption
    assert "25 abstentions" in drawing.caption
    files = read_files(lab, [attacked, broken], tmp_path)
    assert len([*csv.DictReader(io.StringIO(files["csv-smoothed"]))]) == 2
    assert all("Certified accuracy of smoothed pipelines" in files[name] for name in ("html", "md"))


# ---------------------------------------------------------------- what contradicts itself


def forge(**found: Any) -> dict[str, Any]:
    return {"found": found}


def spoil(name: str, change: Callable[[np.ndarray[Any, Any]], Any]) -> dict[str, Any]:
    return {"spoil": lambda arrays: arrays.update({name: np.asarray(change(arrays[name].copy()))})}


def certify_wrong(arrays: dict[str, Any]) -> None:
    arrays["certified"][:, np.flatnonzero(arrays["predictions"] != arrays["labels"])[0]] = True


def certify_far(arrays: dict[str, Any]) -> None:
    place = np.flatnonzero((arrays["predictions"] == arrays["labels"]) & ~arrays["certified"][0])[0]
    arrays["certified"][1, place] = True


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "clean accuracy": (forge(clean_accuracy=1.0), "its manifest says clean_accuracy 1, its certificates.npz 0.94"),
    "abstentions": (forge(abstained=3), "only the smoothed pipeline abstains"),
    "a certified image that is misclassified": ({"spoil": certify_wrong}, "is certified at eps 0.1 and misclassified"),
    "certified at the larger eps only": ({"spoil": certify_far}, "is certified at eps 0.3 and not at 0.1"),
    "an image twice": (spoil("sample_ids", lambda ids: ids // 2), "it counts an image twice"),
    "another certified accuracy": (spoil("certified", np.zeros_like), "its manifest says certified_accuracy 0.22"),
    "a shorter array": (spoil("certified", lambda proved: proved[:1]), "certified should have shape (2, 100)"),
    "numbers for truth": (spoil("certified", lambda proved: proved.astype("f4")), "should hold truth values"),
    "classes beyond": (spoil("labels", lambda labels: labels + 10), "labels should hold whole numbers from 0 to 9"),
    "beyond the limit": ({"limit": 50}, "it has 100 images, and a limit of 50"),
    "half of the noise": ({"sigma": 0.5}, "certificates.npz"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGED.values(), ids=FORGED)
def test_a_certificate_that_contradicts_itself_is_refused_by_name_and_otherwise_excluded(
    changes: dict[str, Any], reason: str, lab: Lab, attacked: Manifest
) -> None:
    certificate = prove(lab, attacked, **changes)
    with pytest.raises(CorruptError) as refused:
        open_certificate(lab.registry, certificate)
    assert reason in str(refused.value)
    assert "advae certify ... --force" in str(refused.value)
    runs = lab.registry.entries("run")
    comparison = compare_runs(lab.registry, runs, required={attacked.id})
    assert [*comparison.excluded] == [certificate.id]
    assert not comparison.certificates
    assert any(certificate.id in one for one in list_failures(comparison))
    with pytest.raises(CorruptError):
        compare_runs(lab.registry, runs, required={certificate.id})


FORGED_NOISE: dict[str, tuple[dict[str, Any], str]] = {
    "beyond its radius": (spoil("certified", lambda proved: proved | proved[:1]), "beyond its certified radius"),
    "other abstentions": (forge(abstained=3), "its manifest says abstained 3, its certificates.npz 25"),
    "an abstention that is certified": (spoil("abstained", lambda abstains: ~abstains), "and misclassified"),
    "a radius of its own": (
        spoil("radii", lambda radii: radii * 1.001),
        "image 1 has a certified radius that does not follow from its counts",
    ),
    "more noisy copies": (spoil("counts", lambda counts: counts * 2), "another number of noisy copies than its recipe"),
    "counts of another class": (
        spoil("counts", lambda counts: np.roll(counts, 1, axis=2)),
        "image 1 has a class that does not follow from its counts",
    ),
    "no number": (spoil("radii", lambda radii: radii * np.nan), "radii should hold real numbers"),
}


@pytest.mark.parametrize(("changes", "reason"), FORGED_NOISE.values(), ids=FORGED_NOISE)
def test_a_smoothed_certificate_is_held_against_its_radii(
    changes: dict[str, Any], reason: str, lab: Lab, attacked: Manifest
) -> None:
    classifier = lab.registry.manifest(attacked.parents[0])
    with pytest.raises(CorruptError, match=reason):
        open_certificate(lab.registry, lab.add_certificate(classifier, radii=RADII, eps=(0.5, 1.0), **changes))


def test_another_prediction_on_an_uncertified_image_is_a_warning(lab: Lab, attacked: Manifest) -> None:
    def change(arrays: dict[str, Any]) -> None:
        # A misclassified image stays misclassified, as another class.
        place = np.flatnonzero(arrays["predictions"] != arrays["labels"])[0]
        label, old = arrays["labels"][place], arrays["predictions"][place]
        arrays["predictions"][place] = next(one for one in range(10) if one not in (label, old))

    prove(lab, attacked, spoil=change)
    result = check(compare(lab))
    assert result.status == "WARN"
    assert "has another predicted class without an attack" in result.sentence


# ---------------------------------------------------------------- the commands


def test_a_report_can_be_asked_for_by_a_certificate(lab: Lab, attacked: Manifest, tmp_path: Path) -> None:
    other = lab.add_run(lab.add_classifier(seed=5), checked=True)
    certificate = prove(lab, attacked)
    common = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--format", "json", "--json")
    asked = json.loads(call(*common, certificate.id).out)
    assert asked["runs"] == [attacked.id]
    every = json.loads(call(*common).out)
    assert {*every["runs"]} == {attacked.id, other.id}


def test_certificates_alone_make_a_report_that_says_what_is_proved_and_that_no_attack_was_run(
    lab: Lab, tmp_path: Path
) -> None:
    certificate = lab.add_certificate(add_pipeline(lab), eps=(0.1, 0.3))
    smoothed = lab.add_certificate(lab.add_classifier(seed=6), radii=RADII, eps=(0.5, 1.0))
    common = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--json")
    outcome = succeed(*common)
    assert outcome.json["runs"] == []
    told = " ".join(outcome.err.split())
    shares = [result.certified_accuracy for result in certificate.as_certificate()[1].results]
    assert "was certified and not attacked. By proof, its robust accuracy is at least" in told
    for eps, share in zip(("0.1 (25.5/255)", "0.3 (76.5/255)"), shares, strict=True):
        assert re.search(rf"{100 * share:.1f} % \[[^]]*\] at eps {re.escape(eps)} \(ibp, {certificate.id}\)", told)
    assert "How much higher it is, is unknown." in told
    assert "smoothed with noise of 0.5, was certified and not attacked. Its certified accuracy is 44.0 %" in told
    texts = {name: Path(path).read_text("utf-8") for name, path in outcome.json["files"].items()}
    for name in ("html", "md"):
        text = html.unescape(texts[name]).replace("\\", "").replace(NBSP, " ")
        assert f"{100 * shares[1]:.1f} % to unknown" in text
        assert "was certified and not attacked" in text
        assert "Threat models: what the attacker knows" not in text
    assert smoothed.id in texts["html"].partition("<figcaption>")[2]
    document = json.loads(texts["json"])
    assert [one["strongest"] for one in document["certified"]] == [{"status": "NOT RUN"}] * 2
    assert any(one.startswith("advae certify --method ibp") for one in document["commands"])
    Draft202012Validator(describe_schema(SECTIONS)).validate(document)
    only = json.loads(Path(succeed(*common, smoothed.id).json["files"]["json"]).read_text("utf-8"))
    assert (len(only["certified"]), len(only["smoothed"])) == (0, 2)


def test_beside_attacked_pipelines_those_that_are_only_certified_are_in_the_table(
    lab: Lab, attacked: Manifest, tmp_path: Path
) -> None:
    lab.add_certificate(lab.add_classifier(seed=6))
    outcome = succeed("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--json")
    assert outcome.json["runs"] == [attacked.id]
    told = " ".join(outcome.err.split())
    assert "seed 6" in told
    assert "How much higher it is, is unknown." in told


def test_many_certified_pipelines_are_counted(lab: Lab, tmp_path: Path) -> None:
    for seed in range(7):
        lab.add_certificate(lab.add_classifier(seed=seed))
    outcome = succeed("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--json")
    assert "3 more pipelines were certified and not attacked; the table has them." in " ".join(outcome.err.split())


def test_a_damaged_certificate_is_excluded_unless_it_is_named(lab: Lab, attacked: Manifest, tmp_path: Path) -> None:
    certificate = prove(lab, attacked, **forge(clean_accuracy=1.0))
    common = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--format", "json")
    assert f"{certificate.id} is excluded" in call(*common).err.replace("\n", " ")
    assert call(*common, certificate.id).code == CorruptError.exit_code
