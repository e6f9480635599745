"""What is wrong with a data set: files, copies, leaks, labels. `from lookalike import audit` is its function.

In reading order:

    file_facts      what an audit knows of every image
    findings_table  what an audit can find, and the table of it
    bad_files       what is wrong with single files, and with files that belong nowhere
    class_balance   classes with too few images, or none in a split
    leaks           what a split is worth without the queries whose picture, or another view of their scene, is am
    same_picture    whether two images are one picture, or show one scene
    duplicates      which images are the same picture
    wrong_labels    labels that their neighbours contradict, images that resemble no class, classes that cannot be
    audit           what is wrong with a data set
    accepted        what a person accepts of an audit goes to the list that the data set leaves out
"""
