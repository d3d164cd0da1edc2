import pytest

from snncompress import Host
from snncompress.measure import DataBench
from snncompress.run.session import StepRun
from snncompress.run.watch import Watch


@pytest.fixture(scope="session")
def host():
    return Host.from_environment()


@pytest.fixture(scope="session")
def bench(host):
    data = host.catalogue["datasets"]["digits"](size=8).load(0)
    return DataBench(data, host.catalogue["encoders"]["direct"](), 0)


@pytest.fixture
def make(host):
    """Return a function that builds a strategy by name."""
    return lambda use, **settings: host.catalogue["strategies"][use](**settings)


@pytest.fixture(scope="session")
def new_run(bench, tmp_path_factory):
    """Return a function that begins a step in a folder of its own."""

    def begin(network, earlier=(), kind=StepRun, folder=None):
        folder = folder or tmp_path_factory.mktemp("step")
        watch = Watch(silent=True)
        return kind(seed=1, earlier=earlier, bench=bench, folder=folder, network=network, watch=watch)

    return begin
