"""Downloads from a server on this machine: checked, continued, refused, never silent."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from snn2hw.data import download, shd
from snn2hw.data.sources import SOURCES, Archive, Source
from snn2hw.errors import ChecksumWarning, DataError, FileFormatError, MissingDependencyError

pytest.importorskip("pooch", reason="downloads need the [data] extra")


def packed_zip(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def packed_tar(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


class Server(HTTPServer):
    """Serves bytes by path; `ranges`: whether it knows them; `cut`: bytes before it hangs up.

    `status`: what it answers instead.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.seen, self.ranges, self.cut = {}, [], True, None
        self.status = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.files.get(self.path)
        if content is None or self.server.status:
            self.send_error(self.server.status or 404)
            return
        first = 0
        if self.server.ranges and "Range" in self.headers:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.server.seen.append(first)
        if first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first : self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        download.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache")
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def toy(server, content, gives=("toy.h5",), name="toy.h5.zip", checksum="md5", top=False):
    server.files[f"/{name}"] = content
    known = checksum and f"{checksum}:{hashlib.new(checksum, content).hexdigest()}"
    archive = Archive("all", f"{server.url}/{name}", known, 1, gives, top)
    return Source("toy", "a toy", "CC0", server.url, (archive,))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_downloaded_unless_asked(server, tmp_path):
    source = toy(server, packed_zip({"toy.h5": b"spikes"}))
    with pytest.raises(DataError) as raised:
        download.locate(source, "toy.h5")
    assert str(raised.value) == (
        f"toy: looked for toy.h5 in {tmp_path / 'data' / 'toy'} and in"
        f" {tmp_path / 'cache' / 'data' / 'toy'} and found none, run"
        f" `snn2hw data toy --part all --download` (1 MB from {server.url}/toy.h5.zip), load with"
        " download=True, or put it there"
    )
    assert server.seen == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("checksum", ["md5", "sha256"])
def test_a_download_is_checked_unpacked_and_kept(server, tmp_path, checksum):
    source = toy(server, packed_zip({"toy.h5": b"spikes"}), checksum=checksum)
    for _ in range(2):
        assert download.locate(source, "toy.h5", download=True) == tmp_path / "data" / "toy"
    assert (tmp_path / "data" / "toy" / "toy.h5").read_bytes() == b"spikes"
    assert names(tmp_path / "data" / "toy") == ["toy.h5"]
    assert server.seen == [0]


def test_without_the_variable_it_goes_to_the_cache(server, tmp_path, monkeypatch):
    source = toy(server, packed_zip({"toy.h5": b"spikes"}))
    monkeypatch.delenv("SNN2HW_DATA")
    cache = tmp_path / "cache" / "data" / "toy"
    with pytest.raises(DataError, match=r"\(SNN2HW_DATA is not set\)"):
        download.locate(source, "toy.h5")
    assert download.locate(source, "toy.h5", download=True) == cache
    # and is found there with the variable set, too
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path / "data"))
    assert download.locate(source, "toy.h5") == cache


def test_a_damaged_download_names_both_checksums(server, tmp_path):
    good = packed_zip({"toy.h5": b"spikes"})
    source = toy(server, good)
    bad = good[:-1] + b"x"
    server.files["/toy.h5.zip"] = bad
    with pytest.raises(FileFormatError) as raised:
        download.locate(source, "toy.h5", download=True)
    assert str(raised.value) == (
        f"{server.url}/toy.h5.zip: damaged download: its md5 is {hashlib.md5(bad).hexdigest()},"
        f" published is {hashlib.md5(good).hexdigest()}; it was deleted; download it again, or put"
        f" a good copy at {tmp_path / 'data' / 'toy' / 'toy.h5.zip'}"
    )
    assert names(tmp_path / "data" / "toy") == []
    server.files["/toy.h5.zip"] = good
    download.locate(source, "toy.h5", download=True)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(server, tmp_path, monkeypatch, ranges):
    monkeypatch.setattr(download, "CHUNK_BYTES", 1000)
    content = packed_zip({"toy.h5": bytes(range(256)) * 40})
    source = toy(server, content)
    server.cut, server.ranges = 3000, ranges
    with pytest.raises(DataError, match=r"the download broke off \(.*run it again: it goes on"):
        download.locate(source, "toy.h5", download=True)
    part = tmp_path / "data" / "toy" / ".toy.h5.zip.part"
    assert part.stat().st_size == 3000
    assert names(part.parent) == [part.name]
    server.cut = None
    download.locate(source, "toy.h5", download=True)
    assert (part.parent / "toy.h5").read_bytes() == bytes(range(256)) * 40
    # a server without ranges sends all anew, and that is taken
    assert server.seen == ([0, 3000] if ranges else [0, 0])


def test_a_busy_server_costs_nothing_of_what_is_there(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CHUNK_BYTES", 1000)
    source = toy(server, packed_zip({"toy.h5": bytes(range(256)) * 40}))
    part = tmp_path / "data" / "toy" / ".toy.h5.zip.part"
    server.status = 503
    with pytest.raises(
        DataError, match=r"the server refuses \(503.*\), run it again later, or get"
    ):
        download.locate(source, "toy.h5", download=True)
    assert names(part.parent) == []
    server.status, server.cut = None, 3000
    with pytest.raises(DataError, match="the download broke off"):
        download.locate(source, "toy.h5", download=True)
    server.status, server.cut = 503, None
    with pytest.raises(DataError, match=rf"\(503.*\), run it again later: it goes on from {part}"):
        download.locate(source, "toy.h5", download=True)
    assert part.stat().st_size == 3000
    server.status = None
    download.locate(source, "toy.h5", download=True)
    assert (part.parent / "toy.h5").read_bytes() == bytes(range(256)) * 40
    assert server.seen == [0, 3000]


def test_what_cannot_be_unpacked_is_never_recorded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CHUNK_BYTES", 1000)
    content = packed_tar({"recordings/a.wav": np.random.default_rng(0).bytes(9000)})
    folder = tmp_path / "data" / "toy"
    source = toy(server, content, ("recordings",), "set.tar.gz", checksum=None)

    def get():
        return download.locate(source, "recordings", download=True)

    # the page of a network that wants a name first
    server.files["/set.tar.gz"] = b"<html>log in</html>"
    with pytest.raises(FileFormatError, match="cannot be unpacked") as raised:
        get()
    assert "\n" not in str(raised.value)
    assert names(folder) == []
    # a download that broke off, and goes on at a server that knows no ranges
    server.files["/set.tar.gz"], server.cut = content, 3000
    with pytest.raises(DataError, match="the download broke off"):
        get()
    server.cut, server.ranges = None, False
    with pytest.warns(ChecksumWarning, match=hashlib.sha256(content).hexdigest()):
        get()
    assert names(folder) == ["recordings", "set.tar.gz.sha256"]


def test_an_archive_by_hand_that_cannot_be_unpacked_stays_and_is_not_recorded(server, tmp_path):
    content = packed_tar({"recordings/a.wav": b"a"})
    source = toy(server, content, ("recordings",), "set.tar.gz", checksum=None)
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    (folder / "set.tar.gz").write_bytes(content[:-20])
    with pytest.raises(FileFormatError, match=r"cannot be unpacked \(.*\), delete it and download"):
        download.locate(source, "recordings", download=True)
    assert names(folder) == ["set.tar.gz"]
    (folder / "set.tar.gz").write_bytes(content)
    with pytest.warns(ChecksumWarning):
        download.locate(source, "recordings", download=True)
    assert names(folder) == ["recordings", "set.tar.gz", "set.tar.gz.sha256"]


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    source = toy(server, packed_zip({"toy.h5": b"spikes"}))
    folder = tmp_path / "data" / "toy"
    for left in (b"x" * 10_000, b"x" * 20):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".toy.h5.zip.part").write_bytes(left)
        download.locate(source, "toy.h5", download=True)
        assert (folder / "toy.h5").read_bytes() == b"spikes"
        (folder / "toy.h5").unlink()


def test_a_checksum_that_nobody_published_is_recorded(server, tmp_path):
    content = packed_tar({"set-1/recordings/a.wav": b"a", "set-1/README": b"x"})
    source = toy(server, content, ("recordings",), "set.tar.gz", checksum=None, top=True)
    found = hashlib.sha256(content).hexdigest()
    folder = tmp_path / "data" / "toy"
    with pytest.warns(ChecksumWarning, match=f"no checksum is published; its SHA-256, {found}"):
        download.locate(source, "recordings", download=True)
    assert (folder / "recordings" / "a.wav").read_bytes() == b"a"
    assert (folder / "set.tar.gz.sha256").read_text() == f"{found}  set.tar.gz\n"
    assert names(folder) == ["recordings", "set.tar.gz.sha256"]
    (folder / "recordings").rename(folder / "old")
    server.files["/set.tar.gz"] = packed_tar({"set-1/recordings/a.wav": b"b"})
    other = hashlib.sha256(server.files["/set.tar.gz"]).hexdigest()
    record = folder / "set.tar.gz.sha256"
    with pytest.raises(
        FileFormatError,
        match=rf"sha256 is {other}, recorded in {record} is {found} \(delete that record if",
    ):
        download.locate(source, "recordings", download=True)


def test_an_archive_put_there_by_hand(server, tmp_path):
    content = packed_tar({"yes/a.wav": b"a", "no/b.wav": b"b", "list.txt": b"x"})
    source = toy(server, content, ("v2/",), "words.tar.gz", checksum="sha256")
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    (folder / "words.tar.gz").write_bytes(content[:-1])
    with pytest.raises(FileFormatError, match=r"words.tar.gz: damaged: .* delete it and download"):
        download.locate(source, "v2", download=True)
    (folder / "words.tar.gz").write_bytes(content)
    download.locate(source, "v2", download=True)
    assert names(folder / "v2") == ["list.txt", "no", "yes"]
    assert names(folder) == ["v2", "words.tar.gz"]
    assert server.seen == []


def test_archives_that_cannot_be_unpacked(server, tmp_path):
    folder = tmp_path / "data" / "toy"
    for content, name, message in (
        (b"no archive", "toy.h5.zip", "cannot be unpacked"),
        (b"no archive", "toy.tar.gz", "cannot be unpacked"),
        (packed_tar({"toy.h5": b"a" * 5000})[:-20], "toy.tar.gz", "cannot be unpacked"),
        (packed_tar({"../outside": b"a"}), "toy.tar.gz", "cannot be unpacked"),
        (packed_zip({"other.h5": b"a"}), "toy.h5.zip", r"has no toy.h5 in it"),
    ):
        source = toy(server, content, name=name)
        with pytest.raises(FileFormatError, match=message) as raised:
            download.locate(source, "toy.h5", download=True)
        assert "\n" not in str(raised.value)
        assert names(folder) == []
    assert not (tmp_path / "data" / "outside").exists()
    (folder / "v2").mkdir()
    source = toy(server, packed_zip({"a": b"a"}), ("v2/",))
    with pytest.raises(DataError, match="v2 is in the way of unpacking it, move it away"):
        download.fetch(source.archives[0], folder)


def test_servers_that_refuse(server, tmp_path):
    source = toy(server, b"x")
    del server.files["/toy.h5.zip"]
    with pytest.raises(DataError, match=r"the server refuses \(404"):
        download.locate(source, "toy.h5", download=True)
    gone = Archive("all", "http://127.0.0.1:9/toy.h5.zip", None, 1, ("toy.h5",))
    with pytest.raises(DataError, match=r"the download broke off \(ConnectionError\)"):
        download.fetch(gone, tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be put into .* or set SNN2HW_DATA to another"):
        download.fetch(gone, tmp_path / "file" / "toy")


def test_absent_pooch_is_named(server, monkeypatch):
    source = toy(server, b"x")

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(download.importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"need pooch.*pip install 'snn2hw\[data\]'"):
        download.locate(source, "toy.h5", download=True)


def test_shd_asks_for_its_own_archives(server, monkeypatch):
    wanted = []
    monkeypatch.setattr(download, "fetch", lambda archive, folder: wanted.append(archive.url))
    with pytest.raises(DataError, match=r"shd_test.h5: no such file"):
        shd.load("test", download=True)
    assert wanted == ["https://zenkelab.org/datasets/shd_test.h5.zip"]


def test_every_source_says_what_it_is():
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.licence.startswith("CC BY")
        for archive in source.archives:
            assert archive.gives
            kind, _, digits = (archive.checksum or "md5:" + "0" * 32).partition(":")
            assert len(digits) == {"md5": 32, "sha256": 64}[kind]
