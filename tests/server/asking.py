"""What tests of the server share."""

from helpers import encoded, hazy_photograph

MODEL = "kddn-indoor"

RAW = {"Content-Type": "application/octet-stream"}


PICTURE = encoded(hazy_photograph(400, 300), "JPEG", quality=90)


def is_problem(answer, status, kind):
    """See that an answer is a problem, whole; what it tells."""
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, told["status"]) == (status, status)
    assert told["type"] == f"urn:kddn:problem:{kind}"
    assert told["title"]
    assert told["detail"]
    assert told["remedy"]
    return told
