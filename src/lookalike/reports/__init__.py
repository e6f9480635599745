"""Pages and plots that a person reads: of a model, an audit, a comparison, a search.

In reading order:

    map              embeddings in two dimensions
    plots            figures as elements of a page, on light and on dark paper
    audit_page       an audit as one page that needs no network
    comparison_page  a comparison as Markdown, CSV, a picture and one HTML page that needs no network
    search_page      a search as Markdown, CSV, one HTML page that needs no network, and the best settings as a file
    similarities     how similar queries are to references of their own label and of others
    model_report     what a person wants to see of a trained model on a split
    model_plots      the plots of a report, as SVG
    sheet            a table of figures: texts for a page, numbers in CSV, LaTeX
    model_tables     the tables of a report
    model_unknowns   what a report tells of queries whose label no reference has
    model_pictures   queries with their neighbours, and the points of the map
    methods          how a report was measured, as facts and as a paragraph for a paper
    model_page       a report as one page that needs no network
    model_files      what lies beside the page: CSV, LaTeX, SVG, methods
"""
