"""What is compared: each name with the program's --method and the hyper-parameters that it sets."""

METHODS: dict[str, tuple[str, dict[str, str]]] = {
    "memit": ("memit", {"v_optimizer": "adam"}),
    "memit_seq": ("memit_seq", {"v_optimizer": "adam"}),
    "memit_seq-ngd": ("memit_seq", {"v_optimizer": "ngd"}),
    "alphaedit": ("alphaedit", {"v_optimizer": "adam"}),
    "eac": ("eac", {"v_optimizer": "adam"}),
    "b-eac": ("b-eac", {"v_optimizer": "ngd"}),
    "b-eac-adam": ("b-eac", {"v_optimizer": "adam"}),
    "b-eac-without-rar": ("b-eac", {"v_optimizer": "ngd", "rar": "off"}),
    "b-eac-without-las": ("b-eac", {"v_optimizer": "ngd", "las": "off"}),
    "b-eac-without-sweeps": ("b-eac", {"v_optimizer": "ngd", "correction_sweeps": "0"}),
    "b-eac-without-anchors": ("b-eac", {"v_optimizer": "ngd", "anchors": "off"}),
    "b-eac-without-anchors-adam": ("b-eac", {"v_optimizer": "adam", "anchors": "off"}),
}
