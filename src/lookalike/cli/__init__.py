"""The command `lookalike`: one table of verbs, what a person types, and what each verb prints.

In reading order:

    inputs          the files and folders that a verb reads
    data_verbs      the verbs about data
    stored_verb     the verb eval on embeddings that are stored
    model_verbs     the verbs that use a model
    export_verb     the verb export
    embed_verb      the verb embed
    inspect_verb    the verb inspect
    predict_notes   what is told of predictions
    predict_verb    the verb predict
    gallery_verbs   the actions of the verb gallery
    training_verbs  the verbs that train
    sharing_verbs   the verbs push and pull
    serve_verb      the verb serve
    verbs           the table of verbs
    settings_file   settings from a YAML or JSON file
    arguments       from what a person types to checked settings
    demo_verb       the verb demo
    setting_rows    the settings of a verb as rows
    completion_script  what makes a shell propose verbs and settings
    completion_verb the verb completion
    doctor_checks   what is asked of this machine
    doctor_verb     the verb doctor
    help            the help of a verb
    main            the command `lookalike`
"""
