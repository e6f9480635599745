"""One training run: build, fit, finish; what it keeps while it runs and where it logs.

In reading order:

    build         from settings to a module and its data
    checkpoint    the state a killed run continues from
    history       the curves of a run
    finish        the best epoch of a run becomes a bundle
    mlflow_store  runs in MLflow's store
    parents       the record of a comparison, under which its runs are logged
    restore       an embedder out of a Lightning checkpoint, of ours or of another project, and a test run of it
    trackers      where curves are logged besides the checkpoint
    callbacks     what a person sees of training
    fit           Lightning's trainer on a module
    run           from settings to a bundle
    cpu/          see there
"""
