"""The videos' files. `media_files` keeps a library's, or `shared_media` with an `object_store` and `local_copies`.

`file_record` is kept beside a video, `partial_upload` is an unfinished upload, `open_uploads` limits their number,
`abandoned_uploads` ends them, `same_video` lets libraries share bytes, `server_folders` has videos used in place,
`sample_videos` lists the samples, and `checks/` finds damage.
"""
