"""Messages in a store: a folder, memory, SFTP and S3, and what each adds to the contract."""

from __future__ import annotations

import dataclasses
import errno
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genome_eu.errors import BadInput, GenomeEuError, NoAnswer, UsageError
from genome_eu.federation.carriers.patience import Patience
from genome_eu.federation.carriers.post import Post
from tests.federation.post_contract import COVER, NAME, PostContract, Watched, message
from tests.federation.servers import (
    START_S,
    BadNetwork,
    Server,
    closed_port,
    new_key,
    public_key,
    s3_server,
    sftp_server,
    silent_server,
)


class TestFolder(PostContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Server:
        (tmp_path / "exchange").mkdir()
        return Server(str(tmp_path / "exchange"), folder=tmp_path / "exchange")

    def test_links_are_not_followed(self, post, place, made, tmp_path):
        outside = tmp_path / "outside"
        (outside / "0003").mkdir(parents=True)
        (outside / "0003" / "hub.plan.cover.json").write_bytes(COVER)
        (place.folder / "3f9a").symlink_to(outside)
        (place.folder / "4e").mkdir()
        (place.folder / "4e" / "0003").symlink_to(outside / "0003")
        (place.folder / "5d" / "0003").mkdir(parents=True)
        link = place.folder / "5d" / "0003" / "hub.plan.cover.json"
        link.symlink_to(outside / "0003" / "hub.plan.cover.json")
        assert post.names() == []
        assert post.cover("5d/0003/hub.plan") is None
        for study in ("3f9a", "4e"):
            name = f"{study}/0003/hub.plan"
            for call in (
                lambda name=name: post.cover(name),
                lambda name=name: post.discard(name),
                lambda name=name: post.publish(name, made.sealed, COVER, made.parts),
            ):
                with pytest.raises(BadInput, match="is a link or a file where a folder should be"):
                    call()
        post.publish("5d/0003/hub.plan", made.sealed, b"{}", made.parts)
        assert not link.is_symlink()
        assert [path.name for path in (outside / "0003").iterdir()] == ["hub.plan.cover.json"]
        assert (outside / "0003" / "hub.plan.cover.json").read_bytes() == COVER

    def test_a_pipe_holds_nobody(self, post, place):
        folder = place.folder / "3f9a" / "0003"
        folder.mkdir(parents=True)
        os.mkfifo(folder / "hub.plan.cover.json")
        assert post.cover(NAME) is None
        assert post.names() == []

    def test_a_disk_that_fills_up_leaves_no_half_file(self, post, place, made, monkeypatch):
        room = 3

        def fsync(handle: int) -> None:
            nonlocal room
            room -= 1
            if room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("genome_eu.federation.carriers.stores.folder.os.fsync", fsync)
        with pytest.raises(BadInput, match="has no room"):
            post.publish(NAME, made.sealed, COVER, made.parts)
        assert post.names() == []
        assert not [path for path in place.folder.rglob("*") if path.name.startswith(".")]

    def test_a_full_disk_of_the_reader_keeps_what_came(self, post, made, tmp_path, monkeypatch):
        post.publish(NAME, made.sealed, COVER, made.parts)

        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("genome_eu.federation.carriers.post.os.fsync", full)
            with pytest.raises(BadInput, match=r"came cannot be written \(No space left"):
                post.fetch(NAME, made.parts, tmp_path / "came")
        assert not (tmp_path / "came").exists()
        watched = Watched(post)
        post.fetch(NAME, made.parts, tmp_path / "came")
        assert watched.read_limits == {}

    def test_a_folder_that_is_not_there(self, post, place):
        with pytest.raises(BadInput, match="does not exist; create it"):
            Post(str(place.folder / "nowhere"))
        place.folder.rmdir()
        with pytest.raises(BadInput, match="is not there; create it or correct its address"):
            post.names()

    def test_a_file_url_is_a_folder(self, post, place, made):
        post.publish(NAME, made.sealed, COVER, made.parts)
        with Post(place.folder.as_uri()) as other:
            assert other.names() == [NAME]


class TestMemory(PostContract):
    @pytest.fixture
    def place(self) -> Server:
        return Server(f"memory://{secrets.token_hex(8)}/federation")


class TestRenamed(PostContract):
    """Any file system of fsspec that renames: files get their names when they are whole."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Server:
        (tmp_path / "exchange").mkdir()
        return Server(f"local://{tmp_path}/exchange", options={"auto_mkdir": False})


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with sftp_server(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


class OverTheNetwork(PostContract):
    """What a store behind a network adds."""

    def test_a_line_that_breaks_is_taken_up_again(self, place, tmp_path):
        big = message(tmp_path, (300_000, 300_000, 300_000))
        with (
            BadNetwork(place.port) as network,
            self.opened(place.through(network.port)) as post,
        ):
            network.cut_after = 450_000
            post.publish(NAME, big.sealed, COVER, big.parts)
            network.cut_after = 450_000
            post.fetch(NAME, big.parts, tmp_path / "came")
            assert network.cuts == 2
            there = [Path(entry.path).name for entry in post.store.entries("3f9a/0003")]
        assert (tmp_path / "came").read_bytes() == big.content
        assert len(there) == 4, there

    @pytest.mark.parametrize("silent", [True, False], ids=["silent", "closed"])
    def test_a_server_that_does_not_answer_is_given_up(self, place, silent):
        short = Patience(total_s=1.0, attempt_s=0.4, first_s=0.01, longest_s=0.1)
        with silent_server() as port:
            away = place.through(port if silent else closed_port())
            start = time.monotonic()
            with (
                self.opened(away, short) as post,
                pytest.raises(NoAnswer, match="cannot be reached"),
            ):
                post.names()
            assert time.monotonic() - start < 5.0


class TestSftp(OverTheNetwork):
    @pytest.fixture
    def place(self, sftp: Server) -> Server:
        return sftp.below(secrets.token_hex(8))

    def test_another_host_key_is_refused_before_anybody_is_named(self, place, tmp_path):
        other = public_key(new_key(tmp_path / "other"))
        before = place.log.read_text().count("userauth-request")
        connections = place.log.read_text().count("Connection from")
        match = "shows host key.*SHA256.*roster says.*nothing was sent"
        pinned = dataclasses.replace(place, host_key=other)
        with self.opened(pinned) as post, pytest.raises(BadInput, match=match) as refused:
            post.names()
        assert "\n" not in str(refused.value)
        assert place.log.read_text().count("Connection from") == connections + 1
        assert place.log.read_text().count("userauth-request") == before
        with self.opened(place) as post:
            post.names()
        assert place.log.read_text().count("userauth-request") > before

    def test_a_host_key_of_another_kind_is_refused(self, place, tmp_path):
        command = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "ecdsa")]
        subprocess.run(command, check=True, timeout=START_S)
        other = public_key(tmp_path / "ecdsa")
        pinned, match = (
            dataclasses.replace(place, host_key=other),
            "roster says ecdsa-sha2-nistp256",
        )
        with self.opened(pinned) as post, pytest.raises(BadInput, match=match):
            post.names()

    def test_no_host_key_no_connection(self, place):
        with pytest.raises(BadInput, match="has no host_key in the roster"):
            Post(place.url, options=place.options)
        for text in ("", "ssh-ed25519", "ssh-ed25519 !!!", "SHA256:abcdef", "ssh-dss AAAA"):
            with pytest.raises(BadInput, match="is not a public key as OpenSSH writes it"):
                Post(place.url, host_key=text, options=place.options)

    def test_an_account_that_is_not_let_in(self, place, tmp_path):
        options = {"key_filename": str(new_key(tmp_path / "stranger"))}
        stranger, match = (
            dataclasses.replace(place, options=options),
            "does not let us.*credentials",
        )
        with self.opened(stranger) as post, pytest.raises(BadInput, match=match):
            post.names()

    def test_a_key_with_a_passphrase(self, place, tmp_path):
        key = tmp_path / "key"
        key.write_bytes(Path(place.options["key_filename"]).read_bytes())
        key.chmod(0o600)
        command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "correct horse", "-f", str(key)]
        subprocess.run(command, check=True, timeout=START_S)
        options = {"key_filename": str(key), "passphrase": "correct horse"}
        with Post(place.url, host_key=place.host_key, options=options) as post:
            assert post.names() == []
        for wrong in ({}, {"passphrase": "wrong"}):
            with pytest.raises(BadInput, match="check it and its passphrase"):
                Post(
                    place.url, host_key=place.host_key, options=options | {"passphrase": ""} | wrong
                )

    def test_a_server_that_renames_only_onto_nothing(self, post, made, monkeypatch):
        import paramiko

        def unsupported(files: paramiko.SFTPClient, old: str, new: str) -> None:
            raise OSError("Operation unsupported")

        monkeypatch.setattr(paramiko.SFTPClient, "posix_rename", unsupported)
        for cover in (COVER, b"{}"):
            post.publish(NAME, made.sealed, cover, made.parts)
            assert post.cover(NAME) == cover
        assert len(post.store.entries("3f9a/0003")) == len(made.parts) + 1

    def test_links_on_the_server_are_no_messages(self, post, place, made):
        post.publish(NAME, made.sealed, COVER, made.parts)
        (place.folder / "4e").symlink_to(place.folder / "3f9a")
        round_folder = place.folder / "3f9a" / "0003"
        (round_folder / "ES.plan.cover.json").symlink_to(round_folder / "hub.plan.cover.json")
        assert post.names() == [NAME]

    def test_a_folder_that_is_not_there(self, place):
        nowhere = dataclasses.replace(place, url=place.url + "/nowhere")
        with self.opened(nowhere) as post, pytest.raises(BadInput, match="is not there; create it"):
            post.names()

    def test_options(self, place):
        for options, match in (
            ({"key_filename": "/nowhere/key"}, "does not exist"),
            ({"key_filename": str(place.log)}, "cannot be read as a private key"),
            ({"allow_agent": True}, "sftp knows no option allow_agent"),
        ):
            with pytest.raises(GenomeEuError, match=match):
                Post(place.url, host_key=place.host_key, options=options)
        with pytest.raises(UsageError, match="name the account"):
            Post("sftp://example.org/exchange", host_key=place.host_key)


class TestS3(OverTheNetwork):
    @pytest.fixture
    def place(self, s3: Server) -> Server:
        return s3.below(secrets.token_hex(8))

    def test_a_bucket_that_is_not_there(self, place, made):
        with self.opened(dataclasses.replace(place, url="s3://nowhere/federation")) as post:
            for call in (
                post.names,
                lambda: post.publish(NAME, made.sealed, COVER, made.parts),
            ):
                with pytest.raises(BadInput, match="is not there; create it or correct"):
                    call()

    def test_secrets_are_in_no_message(self, post, place):
        secret = place.options["secret"]
        for error in (OSError(f"denied for {secret}\nand more"), ConnectionError(secret)):
            Watched(post).fail(error, "entries", after=0)
            post.patience = Patience(total_s=0.0)
            with pytest.raises(GenomeEuError, match=r"\*\*\*") as told:
                post.names()
            assert secret not in str(told.value) + repr(post)
            assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("sftp://site:hunter2@example.org/x", "holds a password or a query"),
        ("s3://key:secret@bucket/x", "holds a password or a query"),
        ("https://example.org/x?token=hunter2", "holds a password or a query"),
        ("simplecache::s3://bucket/x", "not a plain location"),
        ("memory://a/../b", "not a plain location"),
        ("memory://a/%2e%2e/b", "not a plain location"),
        ("carrier-pigeon://coop/x", "cannot be used"),
        ("sftp:///x", "names no server"),
        ("sftp://example.org:port/x", "names no server"),
    ],
)
def test_locations_that_are_refused(location, match):
    with pytest.raises(UsageError, match=match) as refused:
        Post(location)
    assert "hunter2" not in str(refused.value)
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "", "hub.plan", "0003/hub.plan", "3f9a/0003/hub", "../0003/hub.plan", "./0003/hub.plan",
        "3f9a/../0003/hub.plan", "3f9a/0003/../hub.plan", "3f9a/0003/.plan", "/3f9a/0003/h.plan",
        "3f9a/0003/h.plan/", "3f9a/0003/h.plan\n", "3f9a/0003/h\x00.plan", "3f9a//h.plan",
        "3f9a/003/h.plan", "3f9a/٠٠٠٣/h.plan", "3f9a\\0003\\h.plan", "~/0003/h.plan",
        "3f9a/0003/" + "h" * 65 + ".plan", "3f9a/0003/h*.plan", "3f9a/0003/-h.plan",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    sealed = message(tmp_path)
    with Post("memory://never/asked") as post:
        Watched(post).before = lambda *_: pytest.fail("the store was asked")
        for call in (
            lambda: post.publish(name, sealed.sealed, COVER, sealed.parts),
            lambda: post.fetch(name, sealed.parts, tmp_path / "came"),
            lambda: post.cover(name),
            lambda: post.discard(name),
        ):
            with pytest.raises(BadInput, match="is no name of a message"):
                call()


@pytest.mark.parametrize("under", ["..", "a/..", "/a", "a/", "a/0000/hub.plan", ".a", "a/x", "a*"])
def test_places_that_lead_elsewhere_are_refused(under):
    with pytest.raises(BadInput, match="neither STUDY nor STUDY/ROUND"):
        Post("memory://never/asked").names(under)
