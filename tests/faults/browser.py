"""A person's browser without script: signs in, reads pages, sends their forms."""

import re
from dataclasses import dataclass
from html import unescape

import httpx2

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_LOGIN = re.compile(r'name="(username|login)"')


@dataclass(frozen=True)
class Browser:
    """One session."""

    client: httpx2.Client

    @classmethod
    def signed_in(cls, home: str, login: dict[str, str], *, at: str = "/provider/products") -> "Browser":
        """Through the sign-in page, wherever a protected page leads to."""
        client = httpx2.Client(
            base_url=home,
            headers={"Accept-Language": "en"},
            timeout=30,
            trust_env=False,
            follow_redirects=True,
        )
        page = client.get(at)
        name = _LOGIN.search(page.text)
        assert name, page.text
        fields = {
            name[1]: login["username"],
            "password": login["password"],
            "csrfmiddlewaretoken": _token(page.text),
        }
        entered = client.post(str(page.url), data=fields)
        assert entered.status_code == 200, entered.text
        assert not _LOGIN.search(entered.text), "the sign-in page came back"
        return cls(client)

    def text(self, path: str) -> str:
        """What stands on a page, without tags and with single spaces."""
        page = self.client.get(path)
        assert page.status_code == 200, (path, page.status_code)
        main = page.text.partition("<main")[2] or page.text
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))

    def send(self, path: str, *, form_path: str, **fields: str | list[str]) -> httpx2.Response:
        """Send a form of a page."""
        token = _token(self.client.get(form_path).text)
        return self.client.post(path, data={"csrfmiddlewaretoken": token, **fields})


def _token(html: str) -> str:
    token = _TOKEN.search(html)
    assert token, html
    return token[1]
