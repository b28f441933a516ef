"""Tokens: what is signed is accepted, every attack on it is not. The keys are real and made here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cwl_airflow.api.tokens import claims as tokens
from cwl_airflow.api.tokens.claims import TokenRefused, TokensMisconfigured, VerificationKey
from hypothesis import given
from hypothesis import strategies as st

BODY = {"run_id": "one", "conf": '{"job": {"count": 1}}'}
SECRET = "a secret that is long enough for SHA-256"


@cache
def _pair(kind: str, number: int) -> tuple[str, str]:
    key: Any
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    elif kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def pair(kind: str, number: int = 0) -> tuple[str, str]:
    """Return a private and a public key in PEM; another number is another key."""
    return _pair(kind, number)


def sign(claims: dict[str, Any], kind: str = "rsa", algorithm: str = "RS256", number: int = 0) -> str:
    return jwt.encode(claims, pair(kind, number)[0], algorithm=algorithm)


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """Make a token that no library would: unsigned, or signed with HMAC and any secret."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b".".join(parts)
    signature = b"" if secret is None else hmac.digest(secret, signed, "sha256")
    return b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.fixture
def key() -> VerificationKey:
    return VerificationKey(pair("rsa")[1], "RS256")


def trigger(
    token: Any, key: VerificationKey, body: dict[str, Any] = BODY, dag_id: str = "dag", required: Any = ()
) -> None:
    tokens.check_trigger_claims(tokens.verify_token(token, key, required), body, dag_id)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("rsa", "RS256"), ("rsa", "RS512"), ("rsa", "PS256"), ("ec", "ES256"), ("ed25519", "EdDSA")],
)
def test_what_is_signed_with_the_key_is_accepted(kind: str, algorithm: str) -> None:
    trigger(sign(BODY, kind, algorithm), VerificationKey(pair(kind)[1], algorithm))


def test_a_shared_secret_is_possible() -> None:
    trigger(jwt.encode(BODY, SECRET, algorithm="HS256"), VerificationKey(SECRET, "HS256"))


@pytest.mark.parametrize("token", ["a", "a.b.c", ".."])
def test_no_token(key: VerificationKey, token: Any) -> None:
    with pytest.raises(TokenRefused):
        trigger(token, key)


@pytest.mark.parametrize("token", [None, 1, "", [], {"a": 1}, b"a.b.c"])
def test_what_is_no_text_is_no_token(key: VerificationKey, token: Any) -> None:
    with pytest.raises(TokenRefused, match=r"^the token is no text$"):
        trigger(token, key)


def test_a_token_that_is_nested_too_deep_is_refused(key: VerificationKey) -> None:
    deep: Any = 1
    for _ in range(101):
        deep = [deep]
    with pytest.raises(TokenRefused, match=r"^it is nested more than 100 deep$"):
        trigger(sign({**BODY, "conf": deep}), key)
    head = base64.urlsafe_b64encode(b"[" * 100_000).rstrip(b"=").decode()
    with pytest.raises(TokenRefused, match=r"^the token is nested too deep$"):
        trigger(f"{head}.e30.", key)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None])
def test_unsigned(key: VerificationKey, name: Any) -> None:
    header = {"typ": "JWT"} if name is None else {"typ": "JWT", "alg": name}
    with pytest.raises(TokenRefused):
        trigger(by_hand(header, BODY, None), key)
    header, claims, _ = sign(BODY).split(".")  # type: ignore[assignment]
    with pytest.raises(TokenRefused):
        trigger(f"{header}.{claims}.", key)


def test_another_key(key: VerificationKey) -> None:
    with pytest.raises(TokenRefused, match="Signature verification failed"):
        trigger(sign(BODY, number=1), key)


def test_the_public_key_as_a_shared_secret(key: VerificationKey) -> None:
    public = pair("rsa")[1]
    for secret in (public, public.strip(), public + "\n"):
        with pytest.raises(TokenRefused):
            trigger(by_hand({"typ": "JWT", "alg": "HS256"}, BODY, secret.encode()), key)


def test_a_public_key_with_an_algorithm_for_secrets_checks_nothing() -> None:
    for public in (pair("rsa")[1], pair("ec")[1]):
        with pytest.raises(TokensMisconfigured, match="no key for HS256"):
            VerificationKey(public, "HS256")


@pytest.mark.parametrize(
    ("text", "algorithm", "message"),
    [
        ("short", "HS256", "give 32 bytes or more"),
        (SECRET, "RS256", "no key for RS256"),
        (SECRET, "none", "jwt_backend_algorithm is 'none': it may be one of"),
        (SECRET, "rs256", "jwt_backend_algorithm is 'rs256'"),
        ("", "RS256", "no key for RS256"),
    ],
)
def test_a_key_that_checks_nothing(text: str, algorithm: str, message: str) -> None:
    with pytest.raises(TokensMisconfigured, match=message):
        VerificationKey(text, algorithm)


def test_keys_of_another_kind_and_private_ones_are_none() -> None:
    with pytest.raises(TokensMisconfigured, match="no key for ES256"):
        VerificationKey(pair("rsa")[1], "ES256")
    with pytest.raises(TokensMisconfigured, match="is a private key"):
        VerificationKey(pair("rsa")[0], "RS256")


def test_another_algorithm_of_the_same_key(key: VerificationKey) -> None:
    with pytest.raises(TokenRefused):
        trigger(sign(BODY, algorithm="RS512"), key)


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "conf": '{"job": {"count": 2}}'},
        {**BODY, "run_id": "two"},
        {"run_id": "one"},
        {**BODY, "more": 1},
        {},
    ],
)
def test_changed_body(key: VerificationKey, body: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match=r"^the claims are not equal to the body without 'token'$"):
        trigger(sign(BODY), key, body)


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], None])
def test_values_that_python_takes_for_equal_are_not(key: VerificationKey, value: Any) -> None:
    with pytest.raises(TokenRefused, match=r"^the claims are not equal to the body without 'token'$"):
        trigger(sign({"run_id": "one", "conf": {"n": 1}}), key, {"run_id": "one", "conf": {"n": value}})


def test_claims_are_run_id_and_conf(key: VerificationKey) -> None:
    for body in ({"run_id": "one"}, {**BODY, "state": "success"}, {}):
        with pytest.raises(TokenRefused, match=r"^the claims must be run_id and conf$"):
            trigger(sign(body), key, body)


def test_dag_is_honoured_and_may_be_required(key: VerificationKey) -> None:
    trigger(sign({**BODY, "dag_id": "dag"}), key, required=["dag_id"])
    trigger(sign({**BODY, "dag_id": "dag"}), key, {**BODY, "dag_id": "dag"})
    with pytest.raises(TokenRefused, match=r"^the token is for another DAG$"):
        trigger(sign({**BODY, "dag_id": "dag"}), key, dag_id="other")
    with pytest.raises(TokenRefused, match='missing the "dag_id" claim'):
        trigger(sign(BODY), key, required=["dag_id"])


def test_end_is_honoured_and_may_be_required(key: VerificationKey) -> None:
    now = int(time.time())
    trigger(sign({**BODY, "exp": now + 60, "iat": now + 5}), key, required=["exp"])
    with pytest.raises(TokenRefused, match=r"^Signature has expired$"):
        trigger(sign({**BODY, "exp": now - 1}), key)
    with pytest.raises(TokenRefused, match="not yet valid"):
        trigger(sign({**BODY, "nbf": now + 60}), key)
    with pytest.raises(TokenRefused, match='missing the "exp" claim'):
        trigger(sign(BODY), key, required=["exp"])


def test_another_audience(key: VerificationKey) -> None:
    with pytest.raises(TokenRefused):
        trigger(sign({**BODY, "aud": "another"}), key)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5), st.text())
def test_any_body_that_is_signed_is_accepted(conf: Any, run_id: str) -> None:
    body = {"run_id": run_id, "conf": conf}
    trigger(jwt.encode(body, SECRET, algorithm="HS256"), VerificationKey(SECRET, "HS256"), json.loads(json.dumps(body)))


SAID = {"exp": 4102444800, "sub": "alice", "method": "GET", "path": "/api/x"}
ASKED = {"method": "GET", "path": "/api/x", "query": "", "content_type": "", "body": b""}


def request(key: VerificationKey, said: dict[str, Any] | None = None, **asked: Any) -> None:
    """Check a request token that says `said`, for a request as `asked`."""
    claims = tokens.verify_token(sign(SAID | (said or {})), key, tokens.REQUEST_CLAIMS)
    tokens.check_request_claims(claims, **(ASKED | asked))


def test_request_that_is_signed_is_accepted(key: VerificationKey) -> None:
    request(key)
    request(key, {"path": "/api/%78?a=%31&b=+"}, query="a=1&b=%20")
    request(key, {"method": "POST"}, method="POST")
    request(key, {"method": "POST"}, method="POST", content_type="multipart/form-data", body=b"upload")
    body = b'{"conf": {}}'
    digest = hashlib.sha256(body).hexdigest()
    for said in (digest, digest.upper()):
        request(key, {"method": "POST", "sha256": said}, method="POST", content_type="application/json", body=body)


@pytest.mark.parametrize("claim", tokens.REQUEST_CLAIMS)
def test_request_token_needs_its_claims(key: VerificationKey, claim: str) -> None:
    token = sign({name: value for name, value in SAID.items() if name != claim})
    with pytest.raises(TokenRefused, match=f'missing the "{claim}" claim'):
        tokens.verify_token(token, key, tokens.REQUEST_CLAIMS)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "DELETE"}, "the token is for another method"),
        ({"path": "/api/y"}, "the token is for another path"),
        ({"path": "/api/x/"}, "the token is for another path"),
        ({"query": "a=1"}, "the token is for another path"),
        ({"query": "a="}, "the token is for another path"),
        (
            {"body": b"{}", "content_type": "application/json"},
            "the token lacks the claim sha256, which this body needs",
        ),
        ({"body": b"{}"}, "the token lacks the claim sha256, which this body needs"),
    ],
)
def test_request_token_for_another_request(key: VerificationKey, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenRefused, match=f"^{message}$"):
        request(key, **asked)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("//[/x", "the claim path is no path"),
        (1, "the token is for another path"),
        ([], "the token is for another path"),
    ],
)
def test_a_claim_that_is_no_path_is_for_no_request(key: VerificationKey, path: Any, message: str) -> None:
    with pytest.raises(TokenRefused, match=f"^{message}$"):
        request(key, {"path": path})


@pytest.mark.parametrize("digest", [1, None, "", "ä", "0" * 64])
def test_a_claim_that_is_no_digest_is_for_no_body(key: VerificationKey, digest: Any) -> None:
    with pytest.raises(TokenRefused, match=r"^the token is for another body$"):
        request(key, {"sha256": digest})


def test_request_token_for_another_body(key: VerificationKey) -> None:
    for content_type in ("application/json", "multipart/form-data"):
        with pytest.raises(TokenRefused, match=r"^the token is for another body$"):
            request(key, {"sha256": hashlib.sha256(b"a").hexdigest()}, content_type=content_type, body=b"b")


def test_request_token_with_another_query(key: VerificationKey) -> None:
    for query in ("", "a=2", "a=1&a=2", "b=1", "a=1&b="):
        with pytest.raises(TokenRefused, match=r"^the token is for another path$"):
            request(key, {"path": "/api/x?a=1"}, query=query)


def test_neither_kind_of_token_passes_for_the_other(key: VerificationKey) -> None:
    with pytest.raises(TokenRefused):
        tokens.verify_token(sign(BODY), key, tokens.REQUEST_CLAIMS)
    with pytest.raises(TokenRefused):
        trigger(sign(SAID), key, SAID)


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "a",
        "a.b.c",
        "..",
        pytest.param(sign(BODY), id="of a body"),
        pytest.param(sign({"method": "GET"}), id="of a method alone"),
    ],
)
def test_what_is_meant_as_no_request_token(token: str | None) -> None:
    assert not tokens.is_request_token(token)


def test_what_is_meant_as_a_request_token() -> None:
    assert tokens.is_request_token(sign(SAID))
    assert tokens.is_request_token(sign(SAID | {"exp": 5}, number=1))  # it is refused later


def test_tokens_are_told_apart_by_what_is_signed() -> None:
    one, two = sign(BODY, "ec", "ES256"), sign(BODY, "ec", "ES256")
    assert one != two
    assert tokens.token_digest(one) == tokens.token_digest(two)
    assert tokens.token_digest(sign({**BODY, "jti": "2"})) != tokens.token_digest(sign(BODY))
