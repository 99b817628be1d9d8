"""The jobs that publish static files: executed against S3 and CloudFront, under the policies of their own roles."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

import pytest
from delivered_stack import Builder, DeliveredStack, client, make_bucket
from foreign_files import put_foreign_files

from local.loopback import serving_http
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Result

PAGE, FOREVER, SHORTLY = "no-cache", "public, max-age=31536000, immutable", "public, max-age=300"
SITE = {
    "index.html": ("text/html; charset=utf-8", PAGE),
    "about us/it's.html": ("text/html; charset=utf-8", PAGE),
    "app.webmanifest": ("application/manifest+json", PAGE),
    "sw.js": ("text/javascript; charset=utf-8", PAGE),
    "assets/app.3f2a91bc.js": ("text/javascript; charset=utf-8", FOREVER),
    "assets/index-B4kQx_7z.css": ("text/css; charset=utf-8", FOREVER),
    "grüße/größe.css": ("text/css; charset=utf-8", SHORTLY),
    "a+b#c & d%20e.txt": ("text/plain; charset=utf-8", SHORTLY),
    'a "quoted" name.svg': ("image/svg+xml", SHORTLY),
    "LICENSE": ("application/octet-stream", SHORTLY),
}
MANY = 1_500
Origin = Mapping[str, Mapping[str, str]]
INVALIDATION = re.compile(r"POST /[\d-]+/distribution/(\w+)/invalidation")


class Recorder:
    """Stands before AWS and notes each request, in order, with its answer's status."""

    def __init__(self, endpoint: str) -> None:
        self.requests: list[str] = []
        self.url = ""
        self._behind, self._lock = urlsplit(endpoint).netloc, Lock()

    def put(self) -> list[str]:
        """The names that were uploaded, without bucket and prefix."""
        keys = [line.split(" ", 1)[1] for line in self.requests if line.startswith("PUT ")]
        return [key.split("/", 3)[3] for key in keys]

    def serve(self) -> Iterator[None]:
        """Serve until the next step of the generator."""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                line = http.client.HTTPConnection(recorder._behind, timeout=60)
                # The signature covers the host that the caller meant.
                line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in {"connection", "expect"}:
                        line.putheader(name, value)
                line.endheaders(body)
                answer = line.getresponse()
                content = answer.read()
                if "/_jobs/" not in self.path:  # the scripts of the job itself
                    with recorder._lock:
                        recorder.requests.append(f"{self.command} {unquote(urlsplit(self.path).path)}")
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"connection", "transfer-encoding", "content-length", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
                line.close()

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815 - http.server's names

        with serving_http(Handler) as self.url:
            yield


class Site:
    """A stack that publishes static files to a bucket of its own, under the prefix v2."""

    def __init__(self, aws: AwsServices, cli: Path, folder: Path, origin: Origin, recorder: Recorder) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")
        self.bucket, self.source, self.folder = f"{name}-static", f"{name}-source", folder / "source"
        self.recorder, self._s3 = recorder, client(aws, "s3")
        self.distribution = distribution(aws, name)
        named = {
            kind: {key: self.source if key == "bucket" else value for key, value in keys.items()}
            for kind, keys in origin.items()
        }
        self.stack = DeliveredStack(
            "ecs-native",
            {
                "deploy": {
                    "staticFiles": {
                        "enabled": True,
                        "bucket": self.bucket,
                        "prefix": "v2",
                        "cloudFrontDistributionId": self.distribution,
                        **named,
                    }
                }
            },
        )
        for bucket in (self.bucket, self.source):
            make_bucket(aws, bucket)
        self._builder = Builder(self.stack, aws, cli, folder / "machine")
        self.folder.mkdir()
        put_foreign_files(self.folder)

    def file(self, name: str, content: str = "") -> None:
        """A file of the build's output."""
        path = self.folder / "public" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name, encoding="utf-8")

    def there(self, bucket: str, *keys: str) -> None:
        """Objects that are in a bucket already; a key that ends in a slash is a folder of the console."""
        for key in keys:
            self._s3.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else key.encode())

    def keys(self) -> list[str]:
        """What the bucket holds."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def headers(self, key: str) -> tuple[str, str]:
        """Content type and cache control of an object."""
        found = self._s3.head_object(Bucket=self.bucket, Key=key)
        return found["ContentType"], found["CacheControl"]

    def publish(self, *, without: str = "", **variables: str) -> Result:
        """Run the action before the deployment."""
        return self._run("PublishStaticFiles", without, variables)

    def prune(self, *, without: str = "", **variables: str) -> Result:
        """Run the action after the deployment."""
        return self._run("PruneStaticFiles", without, variables)

    def _run(self, action: str, without: str, variables: dict[str, str]) -> Result:
        self.recorder.requests.clear()
        (name,) = self.stack.deployed.action(action).inputs
        return self._builder.run(
            action,
            {name: self.folder},
            without=without,
            variables=variables,
            AWS_ENDPOINT_URL=self.recorder.url,
        )


def distribution(aws: AwsServices, name: str) -> str:
    """A CloudFront distribution."""
    origin = {"Id": "site", "DomainName": "site.example.com", "CustomOriginConfig": _ORIGIN}
    settings = {
        "CallerReference": name,
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https"},
    }
    made = client(aws, "cloudfront").create_distribution(DistributionConfig=settings)
    return str(made["Distribution"]["Id"])


_ORIGIN = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
UPLOAD = {"upload": {"path": "public"}}
SYNC = {"sync": {"bucket": "", "prefix": "site"}}
MakeSite = Callable[[Origin], Site]


@pytest.fixture
def site(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[MakeSite]:
    """Make a stack that publishes from the named origin."""
    recorder = Recorder(aws.endpoint)
    serving = recorder.serve()
    next(serving)
    yield lambda origin: Site(aws, warm_aws_cli, tmp_path, origin, recorder)
    next(serving, None)


def turn(name: str) -> int:
    """When a file may be there: not before what it refers to."""
    _, cache_control = SITE[name]
    if name == "sw.js":
        return 3
    return 2 if cache_control == PAGE else int(cache_control == SHORTLY)


def test_files_are_published_by_the_rules_assets_first_and_pages_last(site: MakeSite, aws: AwsServices) -> None:
    made = site(UPLOAD)
    for name in SITE:
        made.file(name)

    result = made.publish()

    assert result.succeeded, result.log
    assert sorted(made.keys()) == sorted(f"v2/{name}" for name in SITE)
    assert {name: made.headers(f"v2/{name}") for name in SITE} == SITE
    assert sorted(made.recorder.put()) == sorted(SITE)
    turns = [turn(name) for name in made.recorder.put()]
    assert turns == sorted(turns)
    told = INVALIDATION.fullmatch(made.recorder.requests[-1])
    assert told, "CloudFront is told when everything is there"
    listed = client(aws, "cloudfront").list_invalidations(DistributionId=told[1])["InvalidationList"]["Items"]
    assert len(listed) == 1
    assert not [line for line in made.recorder.requests if line.startswith("DELETE") or "?delete" in line]


def test_pruning_deletes_what_is_gone_and_only_under_the_prefix(site: MakeSite) -> None:
    made = site(UPLOAD)
    others = ("v20/index.html", "v1/it's.html", "other.txt", "v2")
    gone = ("v2/old page.html", "v2/grüße/alt+neu#1.css", 'v2/a "quoted" old.svg', "v2/a%20b & c.txt")
    made.there(made.bucket, *others, *gone)
    made.file("index.html")
    assert made.publish().succeeded
    assert set(gone) <= set(made.keys()), "the old version of the service still asks for its files"

    result = made.prune()

    assert result.succeeded, result.log
    assert sorted(made.keys()) == sorted(["v2/index.html", *others])
    assert made.recorder.put() == []
    assert not [line for line in made.recorder.requests if INVALIDATION.fullmatch(line)]


def test_more_files_than_a_page_of_s3_holds(site: MakeSite, capsys: pytest.CaptureFixture[str]) -> None:
    """A listing has a thousand keys, and so has a request to delete."""
    made = site(UPLOAD)
    for number in range(MANY):
        made.file(f"assets/{number // 100}/module {number}.{number:07d}f.js", "x")
    made.file("index.html")
    started = time.monotonic()

    published = made.publish()

    assert published.succeeded, published.log
    assert len(made.recorder.put()) == MANY + 1
    assert made.recorder.put()[-1] == "index.html"
    again = made.publish()
    assert made.recorder.put() == ["index.html"], again.log
    for number in range(1, MANY):
        (made.folder / "public" / f"assets/{number // 100}/module {number}.{number:07d}f.js").unlink()
    pruned = made.prune()
    assert pruned.succeeded, pruned.log
    assert made.keys() == ["v2/assets/0/module 0.0000000f.js", "v2/index.html"]
    deletes = [line for line in made.recorder.requests if line.startswith("POST ")]
    assert len(deletes) == 2
    with capsys.disabled():
        print(f"\n{MANY} files published twice and pruned in {time.monotonic() - started:.1f} s")  # noqa: T201 - a figure


def test_another_bucket_is_published_by_the_same_rules(site: MakeSite) -> None:
    made = site(SYNC)
    made.there(
        made.source, *(f"site/{name}" for name in SITE), "site/", "site/a//b.css", "site2/other.html", "top.html"
    )
    made.there(made.bucket, "v2/old.html", "keep.html")

    result = made.publish()

    assert result.succeeded, result.log
    expected = {f"v2/{name}" for name in SITE} | {"v2/a/b.css"}
    assert set(made.keys()) == {*expected, "v2/old.html", "keep.html"}
    assert {name: made.headers(f"v2/{name}") for name in SITE} == SITE
    turns = [turn(name) for name in made.recorder.put() if name in SITE]
    assert turns == sorted(turns)

    result = made.prune()

    assert result.succeeded, result.log
    assert set(made.keys()) == {*expected, "keep.html"}, "what was published stays, whatever its key looked like"


@pytest.mark.parametrize(
    ("origin", "phase", "without", "words"),
    [
        (UPLOAD, "publish", "s3:PutObject", "(AccessDenied) when calling the PutObject operation"),
        (UPLOAD, "publish", "s3:ListBucket", "(AccessDenied) when calling the ListObjectsV2 operation"),
        (UPLOAD, "publish", "cloudfront:CreateInvalidation", "when calling the CreateInvalidation operation"),
        (UPLOAD, "prune", "s3:DeleteObject", "Delete 1 files that are gone: `aws s3api delete-objects` ended"),
        (SYNC, "publish", "s3:GetObject", "Fetch s3://"),
    ],
)
def test_a_permission_that_the_role_lacks_is_named(
    site: MakeSite, origin: Origin, phase: str, without: str, words: str
) -> None:
    made = site(origin)
    made.file("index.html")
    made.there(made.source, "site/index.html")
    made.there(made.bucket, "v2/old.html")

    result = getattr(made, phase)(without=without)

    assert not result.succeeded
    assert words in result.log
    assert "AccessDenied" in result.log or "Forbidden" in result.log
    assert made.keys() == (["v2/index.html"] if without.startswith("cloudfront:") else []) + ["v2/old.html"]


def test_the_role_reaches_no_other_prefix(site: MakeSite) -> None:
    made = site(UPLOAD)
    made.file("index.html")
    made.there(made.bucket, "other/index.html")

    for result in (made.publish(PREFIX="other"), made.prune(PREFIX="")):
        assert not result.succeeded, result.log
        assert "AccessDenied" in result.log
    assert made.keys() == ["other/index.html"]
