"""Where GitHub's REST API is."""

from components.foundation.github import PUBLIC_API, api_of


def test_a_github_enterprise_server_has_its_api_at_an_address_of_its_own() -> None:
    assert PUBLIC_API == "https://api.github.com"
    assert api_of("https://github.example.com/") == "https://github.example.com/api/v3"
