"""A gallery as a service: HTTP for other programs, and a page for people.

In reading order:

    tokens         who may ask and who may change
    work           threads, a bounded queue, a limit on time
    shared_calls   images of concurrent requests share a call of the network
    refusals       what is answered where nothing is done
    log_lines      an object of JSON per line of the log
    uploads        images and options of a request
    options        what is taken, as types
    answers        what is given, as types
    figures        what is counted, for Prometheus
    guard          what every request passes, and every answer
    kept_open      a gallery that stays open when it gets another model
    day_counts     images and unknown ones per day
    kept_figures   how much kept unknown images take, and may take
    unknowns       unknown images that were kept
    naming         what a service is asked about images
    service        what a service does with a gallery
    documents      options, for the OpenAPI document
    app            the application
    protocol       a connection, and what is no request
    server         listens
    demo           a gallery of example photographs
    start          puts a service together and runs it
    sent_images    images as a client sends them
    connection     requests to a service, and what goes wrong with them
    asking         what a client asks
    reading        what a client reads of a gallery
    client         `Client`
"""
