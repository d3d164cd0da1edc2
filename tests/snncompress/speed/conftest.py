import pytest

from snncompress import Host


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()
