"""Control groups of both versions, read from trees of files as the kernel lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest
from cgroups import NO_LIMIT_OF_VERSION_1, VERSION_1, VERSION_2, Machine

from memdeep.run import cgroup
from memdeep.run.cgroup import GroupMemory, MemoryGroup

MB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_version_2(machine: Machine) -> None:
    machine.says("0::/user.slice/app\n", VERSION_2)
    path = machine.group(
        "user.slice/app", memory__max="max\n", memory__events="low 0\nmax 4\noom 2\noom_kill 1\n"
    )
    machine.group("user.slice", memory__max=f"{300 * MB}\n")
    group = machine.own()
    assert group == MemoryGroup(path, machine.mount, 2)
    assert group.limit_bytes() is None
    assert group.oom_kills() == 1
    assert cgroup.tightest(group) == (300 * MB, group.parent)


def test_version_1(machine: Machine) -> None:
    machine.says("4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n", VERSION_1)
    path = machine.group(
        "docker/abc",
        memory__limit_in_bytes=f"{200 * MB}\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    )
    machine.group("docker", memory__limit_in_bytes=NO_LIMIT_OF_VERSION_1)
    group = machine.own()
    assert group == MemoryGroup(path, machine.mount, 1)
    assert cgroup.tightest(group) == (200 * MB, group)
    assert group.oom_kills() == 3


def test_the_page_cache_is_no_memory_of_the_processes(machine: Machine) -> None:
    machine.says("0::/a\n", VERSION_2)
    stat = "anon 50\nfile 40\nkernel 7\nshmem 15\n"
    machine.group("a", memory__current="97\n", memory__stat=stat)
    second = machine.own()
    assert second is not None
    assert second.memory() == GroupMemory(used_bytes=72, anonymous_bytes=50, shared_bytes=15)
    machine.group("a", memory__current="97\n", memory__stat="anon 50\n")
    assert second.memory() is None

    machine.says("4:memory:/b\n", VERSION_1)
    stat = "cache 1\nrss 2\ntotal_cache 40\ntotal_rss 50\ntotal_shmem 15\n"
    machine.group("b", memory__usage_in_bytes="97\n", memory__stat=stat)
    first = machine.own()
    assert first is not None
    assert first.memory() == GroupMemory(used_bytes=72, anonymous_bytes=50, shared_bytes=15)
    machine.group("b", memory__usage_in_bytes="many\n")
    assert first.memory() is None


def test_the_smallest_limit_on_the_way_up_counts(machine: Machine) -> None:
    machine.says("0::/a/b/c\n", VERSION_2)
    for path, limit in (("a", 500), ("a/b", 100), ("a/b/c", 200)):
        machine.group(path, memory__max=f"{limit * MB}\n")
    group = machine.own()
    assert group is not None
    assert cgroup.tightest(group) == (100 * MB, group.parent)


def test_a_container_may_be_told_of_groups_it_cannot_see(machine: Machine) -> None:
    """Without a namespace of its own: the file names the group as the host does."""
    machine.says(
        "0::/docker/abc/inner\n",
        "35 24 0:30 /docker/abc MOUNT ro - cgroup2 cgroup2 rw\n",
    )
    machine.group("inner", memory__max="1048576")
    group = machine.own()
    assert group is not None
    assert group.path == machine.mount / "inner"
    machine.says("0::/elsewhere\n", "35 24 0:30 /docker/abc MOUNT ro - cgroup2 cgroup2 rw\n")
    group = machine.own()
    assert group is not None
    assert group.path == machine.mount


@pytest.mark.parametrize(
    ("cgroups", "mounts"),
    [("", ""), ("0::/\n", ""), ("garbage\n\n:::\n", "garbage - \n"), ("4:memory:/\n", VERSION_2)],
)
def test_without_a_memory_controller_there_is_no_group(
    machine: Machine, cgroups: str, mounts: str
) -> None:
    machine.says(cgroups, mounts)
    assert machine.own() is None


def test_files_that_are_missing_or_odd_are_not_known(machine: Machine) -> None:
    machine.says("0::/a\n", VERSION_2)
    machine.group("a", memory__max="many\n", memory__events="oom_kill many\n")
    group = machine.own()
    assert group is not None
    assert (group.limit_bytes(), group.oom_kills()) == (None, None)


def created(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> MemoryGroup:
    monkeypatch.setattr(cgroup, "own", lambda: own(machine))
    # A directory of a real hierarchy has its files from the start; this one gets them by writing.
    return cgroup.create(64 * MB, "memdeep-1")


def own(machine: Machine) -> MemoryGroup | None:
    return cgroup.MemoryGroup(machine.mount / "slice/app", machine.mount, 2)


def test_in_version_2_a_new_group_stands_where_the_controller_is_passed_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.group("slice/app", memory__max="max", cgroup__subtree_control="")
    machine.group("slice", memory__max="max", cgroup__subtree_control="cpu memory pids\n")
    group = created(machine, monkeypatch)
    assert group.path == machine.mount / "slice/memdeep-1"
    assert group.limit_bytes() == 64 * MB


def test_a_new_group_does_not_escape_the_limit_of_ours(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.group("slice/app", memory__max=str(32 * MB), cgroup__subtree_control="")
    machine.group("slice", memory__max="max", cgroup__subtree_control="memory")
    with pytest.raises(OSError, match="not delegated"):
        created(machine, monkeypatch)
    assert not (machine.mount / "slice/memdeep-1").exists()
