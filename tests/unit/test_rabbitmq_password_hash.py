"""Password hashes as RabbitMQ checks them: https://www.rabbitmq.com/docs/passwords#this-is-the-algorithm."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st
from rabbitmq_password_hash import FilterModule, rabbitmq_password_hash

# What UTF-8 can express: no lone surrogates.
WORDS = st.text(alphabet=st.characters(codec="utf-8"))


def accepts(stored: str, password: str) -> bool:
    """Check a password as RabbitMQ does: decode, split off four bytes of salt, hash both, compare."""
    decoded = base64.b64decode(stored, validate=True)
    return hashlib.sha256(decoded[:4] + password.encode()).digest() == decoded[4:]


@given(WORDS, WORDS)
def test_rabbitmq_accepts_the_password(password: str, user: str) -> None:
    assert accepts(rabbitmq_password_hash(password, user), password)


@given(WORDS, WORDS, WORDS)
def test_rabbitmq_refuses_another_password(password: str, other: str, user: str) -> None:
    assert accepts(rabbitmq_password_hash(password, user), other) == (password == other)


def test_the_documented_example_is_accepted() -> None:
    assert accepts("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test12")


@given(WORDS, WORDS)
def test_the_same_input_gives_the_same_hash(password: str, user: str) -> None:
    assert rabbitmq_password_hash(password, user) == rabbitmq_password_hash(password, user)


def test_a_later_release_does_not_change_the_hashes_of_a_site() -> None:
    assert rabbitmq_password_hash("test12", "airflow") == "BDA5uCqzUbxmXHxb2TDWk4ymEJefjNHmaS2JK2fkP2I5HWv6"


@given(WORDS, st.lists(WORDS, min_size=2, max_size=2, unique=True))
def test_two_users_with_one_password_get_different_hashes(password: str, users: list[str]) -> None:
    assert len({rabbitmq_password_hash(password, user) for user in users}) == 2


@given(WORDS, WORDS)
def test_the_hash_has_the_length_of_salt_and_sha256(password: str, user: str) -> None:
    assert len(base64.b64decode(rabbitmq_password_hash(password, user))) == 4 + 32


def test_ansible_finds_the_filter() -> None:
    assert FilterModule().filters() == {"rabbitmq_password_hash": rabbitmq_password_hash}
