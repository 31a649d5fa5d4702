"""What Post does, whatever its store is made of. Each kind of store's test class inherits this."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genome_eu.errors import BadInput, BundleError, NoAnswer
from genome_eu.federation.carriers.patience import Patience
from genome_eu.federation.carriers.post import COVER_BYTES, Post
from genome_eu.federation.carriers.stores import Entry
from tests.federation.servers import Server

NAME = "3f9a/0003/hub.plan"
COVER = b'{"cover":"of hub.plan"}'
QUICK = Patience(total_s=5.0, attempt_s=5.0, first_s=0.01, longest_s=0.05)


@dataclasses.dataclass(frozen=True)
class Part:
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Message:
    sealed: Path
    content: bytes
    parts: tuple[Part, ...]

    def file(self, number: int) -> str:
        return f"{NAME}.{number:06d}.{self.parts[number].sha256[:32]}"


def message(folder: Path, sizes: tuple[int, ...] = (4000, 4000, 4000, 4000, 1234)) -> Message:
    pieces = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    sealed = folder / "sealed"
    sealed.write_bytes(b"".join(pieces))
    parts = tuple(Part(len(piece), hashlib.sha256(piece).hexdigest()) for piece in pieces)
    return Message(sealed, b"".join(pieces), parts)


class Killed(BaseException):
    """What no code of ours catches, as nothing catches kill -9."""


class Watched:
    """A store that counts, and that fails when it is told to."""

    def __init__(self, post: Post) -> None:
        self.store, self.post = post.store, post
        self.written: list[str] = []
        self.read_limits: dict[str, int] = {}
        self.resets = 0
        self.before: Callable[[str, str], None] = lambda operation, path: None
        post.store = self

    def entries(self, folder: str) -> list[Entry]:
        self.before("entries", folder)
        return self.store.entries(folder)

    def read(self, path: str, limit: int) -> bytes:
        self.before("read", path)
        self.read_limits[path] = limit
        return self.store.read(path, limit)

    def write(self, path: str, content: bytes) -> None:
        self.before("write", path)
        self.store.write(path, content)
        self.written.append(path)

    def remove(self, path: str) -> None:
        self.before("remove", path)
        self.store.remove(path)

    def reset(self) -> None:
        self.resets += 1
        self.store.reset()

    def fail(self, error: BaseException, operation: str, after: int, times: int = 1000) -> None:
        """Raise after so many of these operations, so many times."""
        left, failures = after, times

        def before(now: str, path: str) -> None:
            nonlocal left, failures
            if now == operation and failures:
                left -= 1
                if left < 0:
                    failures -= 1
                    raise error

        self.before = before


class PostContract:
    """Inherited by the tests of each kind of store, which say where it is."""

    @pytest.fixture
    def place(self) -> Server:
        raise NotImplementedError

    @staticmethod
    def opened(place: Server, patience: Patience = QUICK) -> Post:
        return Post(place.url, host_key=place.host_key, options=place.options, patience=patience)

    @pytest.fixture
    def post(self, place: Server) -> Iterator[Post]:
        with self.opened(place) as post:
            yield post

    @pytest.fixture
    def made(self, tmp_path: Path) -> Message:
        return message(tmp_path)

    def test_a_message_arrives_and_goes(self, post, made, tmp_path):
        assert post.names() == []
        assert post.cover(NAME) is None
        post.publish(NAME, made.sealed, COVER, made.parts)
        assert post.names() == [NAME]
        assert post.cover(NAME) == COVER
        post.fetch(NAME, made.parts, tmp_path / "came")
        assert (tmp_path / "came").read_bytes() == made.content
        assert not (tmp_path / "came.partial").exists()
        post.discard(NAME)
        assert post.names() == []
        assert post.cover(NAME) is None
        assert post.store.entries("") == []
        post.discard(NAME)

    def test_names_are_sorted_and_may_be_asked_of_one_round(self, post, made):
        names = ["a/0000/FI.answer", "a/0000/hub.plan", "a/0001/hub.plan", "b/12345/ES.refusal"]
        for name in reversed(names):
            post.publish(name, made.sealed, COVER, made.parts)
        assert post.names() == names
        assert post.names("a") == names[:3]
        assert post.names("a/0000") == names[:2]
        assert post.names("a/0007") == post.names("c") == []
        assert post.names(skip={"a/0000"}) == names[2:]
        assert post.names(skip=["a", "b/12345"]) == []

    def test_parts_alone_are_no_message(self, place, post, made, tmp_path):
        watched = Watched(post)
        watched.fail(Killed(), "write", after=len(made.parts))
        with pytest.raises(Killed):
            post.publish(NAME, made.sealed, COVER, made.parts)
        assert watched.written == [made.file(number) for number in range(len(made.parts))]
        with self.opened(place) as other:
            assert other.names() == []
            assert other.cover(NAME) is None
            again = Watched(other)
            other.publish(NAME, made.sealed, COVER, made.parts)
            assert again.written == [f"{NAME}.cover.json"]
            assert other.names() == [NAME]

    def test_an_upload_goes_on_where_it_was_killed(self, place, post, made, tmp_path):
        Watched(post).fail(Killed(), "write", after=2)
        with pytest.raises(Killed):
            post.publish(NAME, made.sealed, COVER, made.parts)
        with self.opened(place) as other:
            watched = Watched(other)
            other.publish(NAME, made.sealed, COVER, made.parts)
            files = [made.file(number) for number in range(2, len(made.parts))]
            assert watched.written == [*files, f"{NAME}.cover.json"]
            other.fetch(NAME, made.parts, tmp_path / "came")
        assert (tmp_path / "came").read_bytes() == made.content

    def test_a_download_goes_on_where_it_was_killed(self, place, post, made, tmp_path):
        target, partial = tmp_path / "came", tmp_path / "came.partial"
        post.publish(NAME, made.sealed, COVER, made.parts)
        Watched(post).fail(Killed(), "read", after=3)
        with pytest.raises(Killed):
            post.fetch(NAME, made.parts, target)
        assert partial.read_bytes() == made.content[: 3 * 4000]
        assert not target.exists()
        # Killed within a write as well: half a part, and a flipped byte in a whole one.
        partial.write_bytes(made.content[:5000] + b"?" + made.content[5001:9000])
        with self.opened(place) as other:
            watched = Watched(other)
            other.fetch(NAME, made.parts, target)
            assert list(watched.read_limits) == [made.file(number) for number in (1, 2, 3, 4)]
        assert target.read_bytes() == made.content
        assert not partial.exists()

    def test_publishing_again_sends_nothing(self, post, made):
        post.publish(NAME, made.sealed, COVER, made.parts)
        watched = Watched(post)
        post.publish(NAME, made.sealed, COVER, made.parts)
        assert watched.written == []
        post.publish(NAME, made.sealed, b'{"cover":"another"}', made.parts)
        assert watched.written == [f"{NAME}.cover.json"]
        assert post.cover(NAME) == b'{"cover":"another"}'

    def test_a_harmed_part_is_noticed_and_repaired(self, post, made, tmp_path):
        file, piece = made.file(1), made.content[4000:8000]
        harms = {
            "cut": piece[:-1],
            "longer": piece + b"?",
            "empty": b"",
            "changed": piece[:-1] + b"?",
            "swapped": made.content[:4000],
            "missing": None,
        }
        post.publish(NAME, made.sealed, COVER, made.parts)
        for harm, content in harms.items():
            if content is None:
                post.store.remove(file)
                match = f"part 1 of {NAME} is not at .*; ask for it again"
            else:
                post.store.write(file, content)
                match = f"part 1 of {NAME} is not what its cover says"
            with pytest.raises(BundleError, match=match):
                post.fetch(NAME, made.parts, tmp_path / harm)
            assert not (tmp_path / harm).exists()
            if harm in {"changed", "swapped"}:  # only its content tells
                post.discard(NAME)
            post.publish(NAME, made.sealed, COVER, made.parts)
            post.fetch(NAME, made.parts, tmp_path / harm)
            assert (tmp_path / harm).read_bytes() == made.content

    def test_a_part_twice_or_under_another_number_changes_nothing(self, post, made, tmp_path):
        post.publish(NAME, made.sealed, COVER, made.parts)
        for number in (1, 7):
            other = f"{NAME}.{number:06d}.{made.parts[2].sha256[:32]}"
            post.store.write(other, made.content[8000:12000])
        assert post.names() == [NAME]
        post.fetch(NAME, made.parts, tmp_path / "came")
        assert (tmp_path / "came").read_bytes() == made.content
        post.discard(NAME)
        assert post.store.entries("") == []

    def test_nothing_is_read_beyond_what_was_announced(self, post, made, tmp_path):
        post.publish(NAME, made.sealed, COVER, made.parts)
        post.store.write(made.file(0), bytes(1 << 20))
        post.store.write(f"{NAME}.cover.json", bytes(COVER_BYTES + 2))
        watched = Watched(post)
        with pytest.raises(BundleError, match="changed, cut or replaced"):
            post.fetch(NAME, made.parts, tmp_path / "came")
        with pytest.raises(BundleError, match="larger than 1 MiB"):
            post.cover(NAME)
        assert watched.read_limits == {made.file(0): 4001, f"{NAME}.cover.json": COVER_BYTES + 1}
        assert len(post.store.read(made.file(0), 4001)) == 4001
        with pytest.raises(BundleError, match="larger than 1 MiB; it is not sent"):
            post.publish(NAME, made.sealed, bytes(COVER_BYTES + 1), made.parts)

    def test_an_empty_cover_is_read_as_it_is(self, post):
        post.store.write(f"{NAME}.cover.json", b"")
        assert post.cover(NAME) == b""

    def test_a_file_that_is_not_what_its_cover_says_gets_none(self, post, made):
        whole = made.content
        for sealed in (whole[:-1], whole + b"?", whole[:-1] + b"?", b""):
            made.sealed.write_bytes(sealed)
            with pytest.raises(BundleError, match="not what its cover|not as long as its cover"):
                post.publish(NAME, made.sealed, COVER, made.parts)
            assert post.names() == []
            post.discard(NAME)
        with pytest.raises(BundleError, match="no usable size or digest"):
            post.publish(NAME, made.sealed, COVER, [Part(4, "../../etc/passwd")])

    def test_foreign_files_are_no_messages(self, post):
        for path in (
            "3f9a/0003/.hub.plan.cover.json",
            "3f9a/0003/hub.cover.json",
            "3f9a/0003/hub.PLAN.cover.json",
            "3f9a/0003/hub.plan.cover.json.bak",
            "3f9a/three/hub.plan.cover.json",
            "3f9a/0003/deep/hub.plan.cover.json",
            ".hidden/0003/hub.plan.cover.json",
            "readme.txt",
        ):
            post.store.write(path, b"{}")
        assert post.names() == []
        assert post.names("3f9a/0003") == []

    def test_what_a_killed_writer_left_is_removed(self, post, made):
        left = f"3f9a/0003/.hub.plan.000000.{'a' * 32}.01234567.partial"
        kept = f"3f9a/0003/.hub.plan.x.plan.000000.{'a' * 32}.01234567.partial"
        for path in (left, kept):
            post.store.write(path, b"half")
        post.publish(NAME, made.sealed, COVER, made.parts)
        there = {Path(entry.path).name for entry in post.store.entries("3f9a/0003")}
        assert Path(left).name not in there
        assert Path(kept).name in there
        assert len(there) == len(made.parts) + 2

    def test_a_network_that_fails_for_a_while_is_waited_for(self, post, made, tmp_path):
        watched = Watched(post)
        for operation in ("entries", "read", "write", "remove"):
            error = ConnectionResetError(errno.ECONNRESET, "reset")
            watched.fail(error, operation, after=1, times=2)
            post.publish(NAME, made.sealed, COVER, made.parts)
            post.fetch(NAME, made.parts, tmp_path / "came")
            assert post.names() == [NAME]
            post.discard(NAME)
            assert (tmp_path / "came").read_bytes() == made.content
        assert watched.resets == 8

    def test_a_store_out_of_reach_ends_in_one_line(self, place, made, tmp_path):
        short = dataclasses.replace(QUICK, total_s=0.2)
        with self.opened(place, short) as post:
            Watched(post).fail(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "write", 2)
            with pytest.raises(
                NoAnswer, match=r"cannot be reached \(refused\), tried for 0.2 s"
            ) as (lost):
                post.publish(NAME, made.sealed, COVER, made.parts)
            assert lost.value.exit_code == 5
            assert "\n" not in str(lost.value)
            assert post.names() == []

    def test_a_full_store_ends_in_one_line_and_shows_nothing(self, post, made):
        watched = Watched(post)
        watched.fail(OSError(errno.ENOSPC, "No space left"), "write", after=3)
        with pytest.raises(BadInput, match="has no room to write 3f9a.*make some") as full:
            post.publish(NAME, made.sealed, COVER, made.parts)
        assert "\n" not in str(full.value)
        assert post.names() == []
        assert watched.resets == 0
