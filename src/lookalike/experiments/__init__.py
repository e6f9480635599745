"""Many training runs: a grid that is compared, a search that is tuned.

In reading order:

    comparison       compares measured runs: means, intervals, tests, and one sentence
    grid             trains and measures every run of a grid that is not finished yet
    search_settings  what a search may draw, and the settings of training that a draw makes
    study            the database of a search: made, taken up again after a kill
    search_result    what the trials of a search say: the best, and which settings matter
    search           draws settings and trains with them until there are as many trials as asked for
"""
