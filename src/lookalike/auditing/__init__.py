"""What is wrong with a data set: files, copies, leaks, labels.

`from lookalike import audit` looks at all of it and repairs nothing.

In reading order:

    findings_table   every kind of finding with its title and advice, and the table they are gathered in
    file_facts       what is measured of every image: size, light, sharpness, hash, embedding; kept between audits
    bad_files        files that cannot be used or belong nowhere, dark, blank, blurred, small and narrow images
    class_balance    classes with few training images, or with none in a split
    candidate_pairs  pairs of images worth laying over each other, by hash and by embedding
    same_picture     whether two images are one picture, or show one scene
    compared_pairs   many pairs compared side by side; the results are kept between audits
    duplicates       copies, near copies and scenes among the pairs, and whether they are leaks or contradictions
    leaks            accuracy of a split with and without the queries whose copy or scene is among the references
    wrong_labels     labels that neighbours contradict, images like no class, classes taken for each other
    audit            all of the above for one data set
    accepted         writes what a person accepts of an audit into `exclude.csv`
"""
