"""A signed model judges only as its maker left it, whoever changes and seals it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepfake.base.errors import RegistryError
from deepfake.bundle.bundle import bundle_digest
from deepfake.bundle.seal import read_facts, write_facts
from deepfake.bundle.signature import SIGNATURE, check_signature, make_key, sign


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's trusted keys; `maker` is one of them."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("DEEPFAKE_REQUIRE_SIGNATURE", raising=False)
    (tmp_path / "keys").mkdir()
    make_key(tmp_path / "maker.pem").rename(tmp_path / "keys" / "maker.pub")
    return tmp_path / "keys"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.weights.h5").write_bytes(b"weights")
    write_facts(folder, {"threshold": 0.5})
    return folder


def test_the_signer_is_named(keys: Path, bundle: Path) -> None:
    assert check_signature(bundle) == ""
    before = bundle_digest(bundle)
    sign(bundle, keys.parent / "maker.pem")
    assert check_signature(bundle) == "maker"
    assert bundle_digest(bundle) == before, "a signed model is the same model"
    assert read_facts(bundle)["threshold"] == 0.5


def test_a_model_that_was_changed_and_sealed_again_is_refused(keys: Path, bundle: Path) -> None:
    sign(bundle, keys.parent / "maker.pem")
    signature = (bundle / SIGNATURE).read_bytes()
    (bundle / SIGNATURE).unlink()
    (bundle / "model.weights.h5").write_bytes(b"other weights")
    write_facts(bundle, {"threshold": 0.5})
    assert read_facts(bundle)
    (bundle / SIGNATURE).write_bytes(signature)
    with pytest.raises(RegistryError, match="made the signature of the model"):
        read_facts(bundle)


def test_a_stranger_s_signature_is_refused_where_keys_are_trusted(keys: Path, bundle: Path) -> None:
    make_key(keys.parent / "stranger.pem")
    sign(bundle, keys.parent / "stranger.pem")
    with pytest.raises(RegistryError, match="somebody else signed it"):
        check_signature(bundle)
    (keys / "maker.pub").unlink()
    assert check_signature(bundle) == "", "without trusted keys nothing is known"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"signature": 7}', '{"signature": "xy"}', '{"signature": "00"}']
)
def test_a_damaged_signature_is_refused(keys: Path, bundle: Path, content: str) -> None:
    (bundle / SIGNATURE).write_text(content)
    with pytest.raises(RegistryError, match="judges nothing"):
        check_signature(bundle)


def test_a_signature_can_be_required(keys: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFAKE_REQUIRE_SIGNATURE", "1")
    with pytest.raises(RegistryError, match="has no signature"):
        check_signature(bundle)
    sign(bundle, keys.parent / "maker.pem")
    assert check_signature(bundle) == "maker"
    (keys / "maker.pub").unlink()
    with pytest.raises(RegistryError, match="no trusted key"):
        check_signature(bundle)


def test_a_private_key_is_its_owner_s_and_is_never_written_over(tmp_path: Path) -> None:
    make_key(tmp_path / "maker.pem")
    assert (tmp_path / "maker.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RegistryError, match="is there already"):
        make_key(tmp_path / "maker.pem")
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(RegistryError, match="is no private key"):
        sign(tmp_path, tmp_path / "no.pem")
