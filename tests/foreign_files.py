"""Files of an application's repository that choose an interpreter or configure a tool, where a tool looks for them."""

from __future__ import annotations

from pathlib import Path

_MODULE = """\
from pathlib import Path
Path(__file__).with_name("was-imported").touch()
raise SystemExit("a module of the application was imported")
"""
FILES = {
    # The interpreter.
    ".node-version": "9.9.9\n",
    ".nvmrc": "9.9.9\n",
    ".python-version": "9.9.9\n",
    ".tool-versions": "python 9.9.9\nnodejs 9.9.9\n",
    "mise.toml": '[tools]\npython = "9.9.9"\n',
    "pyvenv.cfg": "home = /nowhere\nversion = 9.9.9\n",
    "runtime.txt": "python-9.9.9\n",
    # What Python imports by itself or in place of the standard library's and the job's own modules.
    **dict.fromkeys(("job.py", "jobs.py", "json.py", "sitecustomize.py", "usercustomize.py"), _MODULE),
    # Tools.
    ".aws/config": "[default]\nendpoint_url = http://127.0.0.1:9\nregion = mars-north-1\n",
    ".aws/credentials": "[default]\naws_access_key_id = application\naws_secret_access_key = application\n",
    ".bashrc": "exit 9\n",
    ".curlrc": "proxy = http://127.0.0.1:9\n",
    ".docker/config.json": '{"credsStore": "application", "proxies": {"default": {"httpProxy": "http://127.0.0.1:9"}}}\n',
    ".env": "AWS_ENDPOINT_URL=http://127.0.0.1:9\nHTTP_PROXY=http://127.0.0.1:9\nPYTHONPATH=.\n",
    ".gitconfig": "[core]\n\tfsmonitor = exit 9\n",
    ".lighthouserc.json": '{"ci": {"collect": {"url": ["http://127.0.0.1:9"]}}}\n',
    ".npmrc": "registry = http://127.0.0.1:9/\nignore-scripts = false\nprefix = application\n",
    ".profile": "exit 9\n",
    ".yarnrc.yml": "npmRegistryServer: http://127.0.0.1:9\n",
    "buildkitd.toml": '[registry."docker.io"]\nmirrors = ["127.0.0.1:9"]\n',
    "docker-bake.hcl": 'target "default" {\n  dockerfile = "application"\n}\n',
    "docker-compose.yml": "services: { application: { image: application } }\n",
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:9\n",
}


def put_foreign_files(folder: Path) -> None:
    """Put them into a folder."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def imported(folder: Path) -> bool:
    """Whether one of the Python modules was imported."""
    return (folder / "was-imported").exists()
