"""What is compared: each name with the program's --method and the hyper-parameters that it sets."""

PILOT = "pilot"  # as target_norm: the mean norm of the targets of the first edits on the unedited model

METHODS: dict[str, tuple[str, dict[str, str]]] = {
    "memit": ("memit", {"v_optimizer": "adam"}),
    "memit_seq": ("memit_seq", {"v_optimizer": "adam"}),
    "memit_seq-weight-5000": ("memit_seq", {"v_optimizer": "adam", "mom2_update_weight": "5000"}),
    "memit_seq-ngd": ("memit_seq", {"v_optimizer": "ngd"}),
    "nas": ("memit_seq", {"v_optimizer": "adam", "target_norm": PILOT}),
    "alphaedit": ("alphaedit", {"v_optimizer": "adam"}),
    "eac": ("eac", {"v_optimizer": "adam"}),
    "b-eac": ("b-eac", {"v_optimizer": "adam"}),
    "b-eac-ngd": ("b-eac", {"v_optimizer": "ngd"}),
    "b-eac-weight-5000": ("b-eac", {"v_optimizer": "adam", "mom2_update_weight": "5000"}),
    "b-eac-without-rar": ("b-eac", {"v_optimizer": "adam", "rar": "off"}),
    "b-eac-without-las": ("b-eac", {"v_optimizer": "adam", "las": "off"}),
    "b-eac-without-sweeps": ("b-eac", {"v_optimizer": "adam", "correction_sweeps": "0"}),
    "b-eac-without-anchors": ("b-eac", {"v_optimizer": "adam", "anchors": "off"}),
    "b-eac-ngd-without-anchors": ("b-eac", {"v_optimizer": "ngd", "anchors": "off"}),
}


def method_of(name: str) -> tuple[str, dict[str, str]]:
    """The method of a name of METHODS, which more assignments may follow: b-eac+mom2_update_weight=4000. KeyError: none."""
    base, *assignments = name.split("+")
    method, changes = METHODS[base]
    return method, changes | dict(assignment.split("=", 1) for assignment in assignments)


def is_method(name: str) -> bool:
    base, *assignments = name.split("+")
    return base in METHODS and all("=" in assignment for assignment in assignments)
