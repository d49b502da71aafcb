"""The names of the executors, as in flow.yml."""

LOADER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER = "video_loader", "image_encoder", "text_encoder", "indexer"
EXECUTORS = (LOADER, IMAGE_ENCODER, TEXT_ENCODER, INDEXER)  # in the order in which a request passes them
WITHOUT_IMAGES = f"({TEXT_ENCODER}|{INDEXER})"  # all that a query without images is for
