"""Reads a model's identity, `NAME@WEIGHTS:RECIPE` or `NAME@WEIGHTS:RECIPE+int8-HASH`."""

INT8_MARK = "+int8-"


def model_name(model_id: str) -> str:
    """The value of CLIPSEEK_MODEL that selects this model."""
    return model_id.rsplit("@", 1)[0]


def settings_for(model_id: str, instead_of: str = "") -> str:
    """The settings that run this model on a server that now runs the model `instead_of`."""
    is_int8, was_int8 = INT8_MARK in model_id, INT8_MARK in instead_of
    engine = "" if is_int8 == was_int8 else f" and CLIPSEEK_ENGINE={'int8' if is_int8 else 'auto'}"
    return f"CLIPSEEK_MODEL={model_name(model_id)}{engine}"


def advise_to_index_again(stored: str, loaded: str) -> str:
    """Returns: what to do if no setting brings the store's model back, because only its weights or recipe differ."""
    if not stored or settings_for(stored, loaded) != settings_for(loaded, stored):
        return ""
    return (
        f"The model '{model_name(stored)}' has changed since it filled the store. Set CLIPSEEK_HOME to an empty folder "
        "and index the videos again. To search the old store, install the version of ClipSeek that filled it."
    )
