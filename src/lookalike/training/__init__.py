"""One training run: build, fit, finish; what it keeps while it runs and where it logs.

In reading order:

    history       the curves of a run
    checkpoint    the state a killed run continues from
    mlflow_database  MLflow's database in a file, made whole or not at all
    mlflow_server  which store, whether it answers, its experiment; without torch
    mlflow_store  runs in MLflow's store
    parents       the record of a comparison, under which its runs are logged
    trackers      where curves are logged besides the checkpoint
    plan          a run as it was asked for
    preflight     what would stop a run late, looked at before its work begins
    build         from a plan to a module and its data
    estimate      how long training will take, from a few timed steps
    finish        the best epoch of a run becomes a bundle
    callbacks     what a person sees of training
    ddp           Lightning's DDP on processes that have met already
    fit           Lightning's trainer on a module
    launch        where the processes of several devices come from
    follow        what the processes beside the first one do
    worker        the process of a further device
    team          the first process: starts or meets the others, tells them what to do
    unknown_folds unknown images for thresholds, from trainings without some of the labels
    run           from settings to a bundle
    cpu/          see there
"""
