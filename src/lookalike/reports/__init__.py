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
    model_tables     the tables of a report
    model_pictures   queries with their neighbours, and the points of the map
    model_page       a report as one page that needs no network
"""
