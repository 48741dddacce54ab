"""Why a test of CPython may have another result under memdeep: by pattern of its full name.

Each of these differs in the same way under `memray run` alone.
"""

EXPLAINED: dict[str, str] = {
    "test.test_frame.TestIncompleteFrameAreInvisible.test_sneaky_frame_object": (
        "memray's profile function makes a frame object of every call, where the test counts on "
        "one that the interpreter has not made yet"
    ),
    "test.test_profile.ProfileTest.test_calling_conventions": (
        "where a profile function is active already, as memray's is, CPython reports the return "
        "from `sys.setprofile` to the new one, which the `profile` module does not expect"
    ),
    "typing._collect_parameters": (
        "typing_extensions, which memray imports, puts a function of its own in the place of this "
        "one, whose doctest it is"
    ),
}
