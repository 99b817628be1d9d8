"""Runs first in each task: lays out what nginx serves, and how it does that."""

from pathlib import Path

STATIC, PROXY = Path("/srv/static"), Path("/srv/proxy")
NGINX = """\
server {
    listen 80;

    location /static/ {
        alias /usr/share/nginx/html/;
    }

    location / {
        proxy_pass http://localhost:8000;  # the containers of a task share one network
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
    }
}
"""


def main() -> None:
    """Write the files."""
    (STATIC / "shop.css").write_text("h1 { color: green }\n", encoding="utf-8")
    (PROXY / "default.conf").write_text(NGINX, encoding="utf-8")
    print("INFO prepared")


if __name__ == "__main__":
    main()
