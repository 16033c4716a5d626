"""The queue on a Ray cluster, a real one of two nodes on this machine."""

import importlib.util
import sys
import threading
import time

import pytest

HERE = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HERE, reason="needs Ray: pip install -e '.[cluster]'")


def test_without_ray_the_mend_is_said(little, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = little.run("work", "--cluster", "auto", code=1)
    assert said == "error: work --cluster needs Ray: pip install -e '.[cluster]'\n"


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1:port"])
def test_a_cluster_that_cannot_be_reached_is_said_in_one_line(little, address):
    said = little.run("work", "--cluster", address, code=1)
    assert said.startswith(f"error: --cluster: {address} cannot be reached: ") and said.count("\n") == 1


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 * 2**20, "memory": 3 * 2**30}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    found.second = found.add_node(num_cpus=1, **memory)
    found.wait_for_nodes()
    yield found
    found.shutdown()


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_node_that_dies_costs_no_run_and_no_bit(make_little, cluster):
    """Both nodes have a run when one of them dies; all runs finish with the bits of unbroken ones."""
    spread, alone = make_little("spread"), make_little("alone")
    for project in (spread, alone):
        project.edit("params/little.yaml", "episodes: 64, batch_size: 8", "episodes: 40000, batch_size: 8")
    words = ("work", "--only", "few_shot/*/one/seed0")
    found = []
    killer = threading.Thread(target=_kill, args=(cluster, spread.root, found))
    killer.start()
    out = spread.run(*words, "--cluster", cluster.address)
    killer.join()
    assert found == ["killed"]
    alone.run(*words)
    assert "finished: 3 runs\nleft: nothing" in out
    assert spread.weights() == alone.weights() and len(alone.weights()) == 3
    assert spread.run("work", "--only", "few_shot/*/one/seed0") == "Nothing is left to do\n"


def _kill(cluster, root, found):
    """While both nodes have a run, the node that is not the driver's."""
    import ray

    until = time.monotonic() + 120
    while len(list((root / ".resume/work/locks").glob("smoke*.lock"))) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(8)  # in which they have begun to train, and on no machine are done
    if ray.is_initialized() and ray.get_runtime_context().get_node_id() != cluster.second.node_id:
        cluster.remove_node(cluster.second, allow_graceful=False)
        found.append("killed")
