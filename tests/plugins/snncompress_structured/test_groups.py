from snncompress_structured.groups import Group, Member, Side


def member(size, groups, indices=None):
    indices = tuple(indices if indices is not None else range(size))
    return Member(
        Side("conv", (("conv.weight", 1),), ("in_channels",), size, groups), indices, tuple(range(len(indices)))
    )


def test_channels_go_one_by_one_unless_a_layer_has_groups():
    assert Group(("conv",), 3, (member(3, 1),)).units() == ((0,), (1,), (2,))
    assert Group(("conv",), 6, (member(6, 2),)).units() == ((0, 3), (1, 4), (2, 5))


def test_groups_of_two_layers_bind_together():
    assert Group(("conv",), 6, (member(6, 2), member(6, 3))).units() == ((0, 1, 2, 3, 4, 5),)
    assert Group(("conv",), 8, (member(8, 2), member(8, 4))).units() == ((0, 2, 4, 6), (1, 3, 5, 7))


def test_entries_are_found_by_channel():
    flat = Member(Side("fc", (("fc.weight", 1),), ("in_features",), 6), tuple(range(6)), (0, 0, 1, 1, 2, 2))
    assert flat.entries(frozenset({0, 2})) == {0, 1, 4, 5}
