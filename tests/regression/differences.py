"""Why a test of CPython may have another result under memdeep: by pattern of its full name.

Each of these differs in the same way under `memray run` alone. What explains that a whole module
did not end explains that its tests have not reported.
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
    "test_bdb: the whole module": (
        "before Python 3.12, CPython keeps from the profile function the return at which a trace "
        "function raises, as `bdb` does when told to quit there; memray takes the frame to be "
        "alive, and crashes some time later"
    ),
    "test_pdb: the whole module": (
        "on Python 3.13, `pdb` stops at other events where a profile function is active, as "
        "memray's is; in the end memray crashes"
    ),
    "test.test_doctest.test_doctest.test_pdb_set_trace*": (
        "on Python 3.13, `pdb.set_trace()` on the last line of a function stops at its return "
        "where a profile function is active, as memray's is"
    ),
    "test.test_capi.test_run.CAPITest.test_run_fileexflags_with_undecodable_filename": (
        "memray fails on Python code whose file has a name that is not UTF-8"
    ),
}
