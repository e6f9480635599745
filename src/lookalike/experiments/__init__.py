"""Many training runs: a grid that is compared, a search that is tuned.

In reading order:

    comparison       what finished runs of a grid say
    grid             a grid of training runs on the same data, measured on the same queries, and what that says
    search_settings  what a search may draw, checked, and the settings of training that a draw makes
    study            a search that is kept
    search_result    what a search found
    search           a search for the settings that validate best
"""
