"""Damage with a plan: edits that keep what a reader checks first, and change what it reads next."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genome_eu.federation.bundle.tar import tar_end, tar_header

# JSON has several spellings of what no reader should take; each stands in for a placeholder.
_RAW = {
    "@deep@": "[" * 300 + "]" * 300,
    "@deeper@": '{"a":' * 3000 + "1" + "}" * 3000,
    "@open@": "[" * 100_000,
    "@long@": "9" * 4000,
    "@longer@": "9" * 5000,
    "@infinite@": "1e999",
    "@nan@": "NaN",
    "@half@": '"\\ud800"',
    "@many@": "[" + "[]," * 20_000 + "[]]",
}
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        [],
        {},
        [[]],
        [None],
        {"": 0},
        {"a\nb": 1},
        "\0",
        "a\nb",
        "\x1b[31mred",
    ),
    *(
        "\u202e",
        "\u2028",
        "É",
        "..",
        "../x",
        "/etc/passwd",
        "x" * 70,
        "x" * 3000,
        "a" * 64,
        "A" * 64,
    ),
    *(-1, 0, 1, 2, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, -(10**40), 0.5, -0.0, 1e308, "1", "NaN"),
    *_RAW,
]
_TOML = [
    *("inf", "nan", "-1", "0", "true", '""', "[]", "{}", "1979-05-27", "07:32:00", "0xffffffff"),
    *('"\\u0000"', '"a\\nb"', '"\\u001b[31m"', "'\\'", '"""\na\n"""', "9" * 4000, "9" * 5000),
    *("1e400", "[" * 200 + "]" * 200, "[" * 5000, "{a=" * 3000, '{"a\\nb"=1}', "{a.b.c=1}", "[[]]"),
    *('"' + "x" * 5000 + '"', '"sftp://[/x"', '"sftp://a:b@c/d"', '["all"]', '"all"', "1_0", "0.5"),
    *('"../x"', '"\u202e"', '"ed25519:AAAA"', "18446744073709551616", "-0.0", '["a\\nb"]'),
]
_TOML_LINES = [
    *(
        "[a]",
        "[[site]]",
        "[site]",
        "[[a.b]]",
        "[",
        "]",
        '"a\\nb" = 1',
        '["a\\nb"]',
        "= 1",
        "a",
        "\r",
    ),
    *(".".join("a" * 3000) + " = 1", '"\\ud800" = 1', "\x00", "é = 1", "a.a = 1\na.a.a = 1"),
    *("coordinator = 1", "[floor]\nmin_people = 0", "[floor]\nmembership_power = nan", "# \x07"),
]
_HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': %s}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }",
    "{'descr': '<u8', 'fortran_order': False, 'shape': %s, 'shape': ()}",
    "{'descr': '|b1', 'fortran_order': 0, 'shape': %s}",
    "{'descr': '|O', 'fortran_order': False, 'shape': %s}",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': %s}",
    "{'descr': '<i8', 'fortran_order': True, 'shape': %s}",
    "{'shape': %s}",
    "[%s]",
    "%s",
]
_SHAPES = [
    *(
        "()",
        "(1,)",
        "(-1,)",
        "(0,)",
        "(1099511627776,)",
        "(4294967296, 4294967296)",
        "(True, True)",
    ),
    *("(0, 1099511627776)", "(0, 4294967296, 4294967296)", "(2305843009213693952, 8)", "7", "'ab'"),
    *(
        "(0,) + (1,)",
        "(1e3,)",
        "(1j,)",
        "(None,)",
        "((1,),)",
        "{1: 2}",
        "{}",
        "{[]}",
        "b'ab'",
        "...",
    ),
    *(
        "(" + "1," * 9 + ")",
        "(" + "1," * 20_000 + ")",
        "(" + "9" * 5000 + ",)",
        "(0, 9" + "9" * 4000 + ")",
    ),
    *(
        "(" * 150 + ")" * 150,
        "(" * 30_000,
        "[" * 90 + "]" * 90,
        "-" * 60_000 + "1",
        "1" + "+1" * 20_000,
    ),
    *(
        "not " * 12_000 + "1",
        "x" + ".x" * 20_000,
        "f(" * 80 + ")" * 80,
        "lambda: 0",
        "__import__('os')",
    ),
    *(
        "'\\N{",
        "'\\x",
        "'\0'",
        "\0",
        "\n1",
        "0x" + "f" * 60_000,
        "'" + "\\d" * 99 + "'",
        "10**10**10",
        "1_0,",
    ),
]


def bytes_edited(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, removed, repeated, or brought from elsewhere."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 40))):
        at = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 2, 8, 100, 512))
        match rng.randrange(7):
            case 0 | 1 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                changed[at : at + length] = rng.randbytes(length)
            case 3:
                del changed[at : at + length]
            case 4:
                source = rng.randrange(len(changed) + 1)
                changed[at:at] = changed[source : source + length]
            case 5:
                changed[at:at] = rng.choice((b"\0", b"\xff", b"\n", b"[", b"{", b'"', b"9" * 50))
            case 6 if rng.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def json_edited(value: Any, rng: random.Random) -> bytes:
    """A JSON value with a few of its parts swapped, renamed, added, removed or made odd."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changed = _json_step(changed, rng)
    spaced = rng.random() < 0.1
    text = json.dumps(
        changed, sort_keys=rng.random() < 0.9, separators=(", ", ": ") if spaced else (",", ":")
    )
    for name, raw in _RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text.encode()


def _json_step(value: Any, rng: random.Random) -> Any:
    found = list(places(value))
    if not found:
        return copy.deepcopy(rng.choice(ODD))
    holder, key = rng.choice(found)
    match rng.randrange(8):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(rng.choice(ODD))
        case 3:
            other, there = rng.choice(found)
            holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])
        case 4:
            del holder[key]
        case 5 if isinstance(holder, dict):
            holder[rng.choice(("", "a\nb", "format", "\x1b[2J", "x" * 300, key.upper()))] = (
                holder.pop(key)
            )
        case 5:
            holder *= 50 if len(holder) < 50 else 1
        case 6 if isinstance(holder[key], int):
            holder[key] += rng.choice((-1, 1, 2**31, -(2**40), 2**63))
        case 6 if isinstance(holder[key], str) and holder[key]:
            place = rng.randrange(len(holder[key]))
            holder[key] = holder[key][:place] + rng.choice("a0\n\0/É") + holder[key][place + 1 :]
        case _:
            holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, [holder[key]] * 3))
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where each part of a JSON value stands: what holds it, and its key there."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def toml_edited(text: str, rng: random.Random) -> bytes:
    """Lines of a TOML file with other values, keys and places."""
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        key, sign, value = lines[at].partition("=")
        match rng.randrange(7):
            case 0 | 1 | 2 if sign:
                lines[at] = f"{key}= {rng.choice(_TOML)}"
            case 3:
                lines.insert(at, rng.choice(_TOML_LINES))
            case 4:
                lines[at], lines[rng.randrange(len(lines))] = rng.choice(lines), lines[at]
            case 5 if sign:
                lines[at] = f"{rng.choice(('x', '', key.strip() + '.x', chr(34) * 2))} ={value}"
            case 6 if len(lines) > 1:
                del lines[at]
    return "\n".join(lines).encode()


def npy_edited(content: bytes, rng: random.Random) -> bytes:
    """An array behind another header, or with another length."""
    length = int.from_bytes(content[8:10], "little")
    if rng.random() < 0.2:
        return bytes_edited(content, rng)
    head = rng.choice(_HEADERS).replace("%s", rng.choice(_SHAPES)).encode("latin1", "replace")
    head = head[:65_535]
    size = rng.choice((len(head), len(head), len(head), 0, 65_535, len(head) - 1))
    return (
        content[:6]
        + rng.choice((b"\1\0", b"\1\0", b"\2\0"))
        + size.to_bytes(2, "little")
        + (head + content[10 + length :])
    )


def entries_of(content: bytes) -> list[tuple[str, bytes]]:
    """Members of a sound bundle."""
    found, at = [], 0
    while content[at : at + 1] not in (b"", b"\0"):
        name = content[at : at + 100].rstrip(b"\0").decode()
        size = int(content[at + 124 : at + 135], 8)
        found.append((name, content[at + 512 : at + 512 + size]))
        at += 512 + size + -size % 512
    return found


def tar(entries: list[tuple[str, bytes]], rng: random.Random | None = None) -> bytes:
    """A bundle of any members; with `rng`, one of its headers is played a trick."""
    content, tricked = b"", rng.randrange(len(entries)) if rng is not None and entries else -1
    for number, (name, member) in enumerate(entries):
        header = tar_header(name, len(member))
        if number == tricked and rng is not None:
            header = _tricked(header, rng)
        content += header + member + bytes(-len(member) % 512)
    return content + tar_end(len(content))


def _tricked(header: bytes, rng: random.Random) -> bytes:
    place, words = rng.choice(
        [
            (
                124,
                [
                    b"77777777777\0",
                    b"00000000000\0",
                    b"-0000000001\0",
                    b"\x80" + b"\xff" * 11,
                    b" " * 12,
                ],
            ),
            (156, [b"1", b"2", b"3", b"5", b"6", b"L", b"K", b"x", b"g", b"S", b"\0"]),
            (0, [b"../x\0", b"/etc/passwd\0", b"manifest.json\0", b"\0", b"\xff" * 100]),
            (157, [b"/etc/passwd"]),
            (257, [b"ustar  \0", b"\0" * 8]),
            (345, [b"..", b"x" * 155]),
        ]
    )
    word = rng.choice(words)
    changed = header[:place] + word + header[place + len(word) :]
    checksum = sum(changed[:148]) + 8 * 32 + sum(changed[156:512])
    return changed[:148] + b"%06o\0 " % checksum + changed[156:512]


def bundle_edited(content: bytes, rng: random.Random) -> bytes:
    """A bundle whose digests and sizes are true to what was changed in it, mostly."""
    (_, head), *members, _ = entries_of(content)
    manifest = json.loads(head)
    what = rng.randrange(8)
    if what == 0:
        return bytes_edited(content, rng)
    if what in {1, 2} and members:
        at = rng.randrange(len(members))
        members[at] = (members[at][0], npy_edited(members[at][1], rng))
        listed = manifest["members"][at]
        listed["bytes"] = len(members[at][1])
        listed["sha256"] = hashlib.sha256(members[at][1]).hexdigest()
        if manifest["content"] and rng.random() < 0.9:
            name = members[at][0].removeprefix("inputs/").removesuffix(".npy")
            manifest["content"]["inputs"][name] = listed["sha256"]
            manifest["plan"] = _hash(manifest["content"])
        head = json.dumps(manifest).encode()
    elif what == 3 and manifest["content"]:
        said = json_edited(manifest["content"], rng)
        with contextlib.suppress(ValueError, RecursionError):
            manifest["plan"] = _hash(json.loads(said))
        manifest["content"] = "@content@"
        head = json.dumps(manifest).encode().replace(b'"@content@"', said)
    elif what == 4 and members:
        rng.shuffle(members)
        members += members[: rng.randrange(2)]
    elif what > 4:
        head = json_edited(manifest, rng)
    digest = hashlib.sha256(head).hexdigest().encode()
    entries = [("manifest.json", head), *members, ("manifest.sha256", digest)]
    return tar(entries, rng if rng.random() < 0.1 else None)


def _hash(plan: Any) -> str:
    said = json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(said).hexdigest()


def ledger_edited(content: bytes, rng: random.Random) -> bytes:
    """Lines that say something else, chained and hashed as they should be, mostly."""
    if rng.random() < 0.2:
        return bytes_edited(content, rng)
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    said = json.loads(lines[at])
    said.pop("hash")
    body = json_edited(said, rng)[:-1]
    digest = hashlib.sha256(body).hexdigest().encode()
    lines[at] = body + b',"hash":"' + digest + b'"}'
    if rng.random() < 0.1:
        lines.insert(
            rng.randrange(len(lines)), rng.choice((b"", b"{}", b"\xff", lines[at], b"[" * 5000))
        )
    return b"\n".join(lines) + rng.choice((b"\n", b"\n", b"\n", b"", b"\n\n", b"torn"))


def rewrite(path: Path, content: bytes) -> None:
    """Other bytes at a path, in a new file: one that is cut and written again, some file systems
    bring to the disk first, which takes milliseconds."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
