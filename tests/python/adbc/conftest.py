"""For the newest ADBC driver and an old one: the same tests run in the environment of either.

Nothing here or in these tests needs more than requirements-old-adbc.txt.
"""

import adbc_driver_flightsql
import pytest

import all_types
import governed_mesh
from weft_process import Weft

VERSION = tuple(int(part) for part in adbc_driver_flightsql.__version__.split(".")[:2])


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    """A weft with a column of every type."""
    weft = Weft(all_types.write(tmp_path_factory.mktemp("types")))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="session")
def governed(tmp_path_factory):
    """A weft of which a service sees a part."""
    weft = Weft(governed_mesh.write(tmp_path_factory.mktemp("governed")))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="session")
def connection(kinds):
    """One for all tests that leave its session as it is: logging in takes longer than most queries."""
    with kinds.connect(all_types.USER) as connection:
        yield connection


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def driver_version():
    return VERSION
